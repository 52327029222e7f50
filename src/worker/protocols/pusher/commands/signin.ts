import { ERRORS, type ErrorCode, GusherError } from '../../../../shared/errors/catalogue.ts';
import { sliceElements, sliceMembers, stringOf } from '../../../../shared/json/raw-json.ts';
import { isName } from '../../../../shared/model/names.ts';
import type { SignedIn } from '../../../connection/pusher-session.ts';
import { isAuthorized, signingHelp, userAuthText } from '../channel-auth.ts';
import { appOf, type CommandHandler, fieldsOf } from '../command.ts';
import { MEMBER_ID_MAX_LENGTH, memberIdOf } from '../member.ts';
import { errorText, signinSuccessText } from '../messages.ts';

const WATCHLIST_MAX = 100;

interface UserData extends SignedIn {
  /** The JSON of each. */
  readonly watchlist: readonly string[];
}

/**
 * `pusher:signin` `{"auth", "user_data"}`: the connection is that user's from now on. A failure is answered by
 * `pusher:error` and the connection stays: after a reconnect the app's server may answer the sign-in of the connection
 * before. A connection that must sign in (`authorized_only`) is closed by its own timeout.
 */
export const signin: CommandHandler = async (context, connection, command, session) => {
  const { auth, user_data: userData } = fieldsOf(command);
  const app = await appOf(context, connection);
  if (connection.state !== 'open') return undefined;
  if (typeof userData !== 'string') return 'signin_refused';
  const text = userAuthText(connection.id, userData);
  if (!isAuthorized(app, auth, text)) throw new GusherError('signin_refused', { detail: signingHelp(text) });
  const user = userOf(userData, context.limits.memberInfoMaxBytes);
  if (typeof user === 'string') return user;
  if ((session.signedIn ?? user).userId !== user.userId) return 'signed_in_already';
  const isFirst = session.signedIn === undefined;
  session.isAuthorized = true;
  session.signedIn = { userId: user.userId, userInfo: user.userInfo };
  if (isFirst) context.hub.setUser(connection, user.userId);
  context.reply(connection, signinSuccessText(userData));
  const watchlist = [...new Set(user.watchlist.flatMap((id) => memberIdOf(id) ?? []))];
  if (watchlist.length > WATCHLIST_MAX) context.reply(connection, errorText(ERRORS.watchlist_too_long));
  if (!isFirst || watchlist.length === 0) return undefined;
  // Whoever is signed in need not wait for it.
  void context.watchlists.watch(connection, watchlist.slice(0, WATCHLIST_MAX));
  return undefined;
};

/** Reads `user_data`, which has been verified. The id has to be a string here: clients refuse another. */
function userOf(userData: string, infoMaxBytes: number): UserData | ErrorCode {
  const fields = sliceMembers(userData);
  const userId = stringOf(fields?.get('id'));
  if (userId === undefined || !isName(userId, MEMBER_ID_MAX_LENGTH)) return 'bad_user_data';
  const userInfo = fields?.get('user_info');
  if (Buffer.byteLength(userInfo ?? '') > infoMaxBytes) return 'bad_user_data';
  return { userId, userInfo, watchlist: sliceElements(fields?.get('watchlist') ?? '[]') ?? [] };
}
