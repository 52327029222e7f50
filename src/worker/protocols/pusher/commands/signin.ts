import { ERRORS, GusherError } from '../../../../shared/errors/catalogue.ts';
import { sliceElements, sliceMembers, stringOf } from '../../../../shared/json/raw-json.ts';
import { isName } from '../../../../shared/model/names.ts';
import type { SignedIn } from '../../../connection/pusher-session.ts';
import { isAuthorized, signingHelp, userAuthText } from '../channel-auth.ts';
import { appOf, type CommandHandler, fieldsOf } from '../command.ts';
import { MEMBER_ID_MAX_LENGTH, memberIdOf } from '../member.ts';
import { errorText, signinSuccessText } from '../messages.ts';

const WATCHLIST_MAX = 100;

interface UserData extends SignedIn {
  /** The JSON text of each user id. */
  readonly watchlist: readonly string[];
}

/**
 * `pusher:signin` `{"auth", "user_data"}`: the connection belongs to that user from now on. A failure is answered with
 * `pusher:error`, and the connection stays open: after a reconnect the backend may still answer for the previous
 * connection. A connection that must authorize (`authorized_only`) has a timeout for that.
 */
export const signin: CommandHandler = async (context, connection, command, session) => {
  const { auth, user_data: userData } = fieldsOf(command);
  const app = await appOf(context, connection);
  if (connection.state !== 'open') return undefined;
  if (typeof userData !== 'string') return 'signin_rejected';
  const text = userAuthText(connection.id, userData);
  if (!isAuthorized(app, auth, text)) throw new GusherError('signin_rejected', { detail: signingHelp(text) });
  const user = parseUserData(userData, context.limits.memberInfoMaxBytes);
  if ((session.signedIn ?? user).userId !== user.userId) return 'signed_in_already';
  const isFirst = session.signedIn === undefined;
  session.isAuthorized = true;
  session.signedIn = { userId: user.userId, userInfo: user.userInfo };
  if (isFirst) context.hub.setUser(connection, user.userId);
  context.reply(connection, signinSuccessText(userData));
  const watchlist = [...new Set(user.watchlist.flatMap((id) => memberIdOf(id) ?? []))];
  if (watchlist.length > WATCHLIST_MAX) {
    const error = ERRORS.watchlist_too_long;
    context.reply(connection, errorText(error), error.code);
  }
  if (!isFirst || watchlist.length === 0) return undefined;
  // Later commands need not wait for the watchlist.
  void context.watchlists.watch(connection, watchlist.slice(0, WATCHLIST_MAX));
  return undefined;
};

/** Parses verified `user_data`. The id must be a string: clients reject a number. Throws `bad_user_data`. */
function parseUserData(userData: string, infoMaxBytes: number): UserData {
  const fields = sliceMembers(userData);
  const userId = stringOf(fields?.get('id'));
  if (userId === undefined || !isName(userId, MEMBER_ID_MAX_LENGTH)) {
    throw new GusherError('bad_user_data');
  }
  const userInfo = fields?.get('user_info');
  if (Buffer.byteLength(userInfo ?? '') > infoMaxBytes) throw new GusherError('bad_user_data');
  return { userId, userInfo, watchlist: sliceElements(fields?.get('watchlist') ?? '[]') ?? [] };
}
