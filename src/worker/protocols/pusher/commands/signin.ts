import { REFUSALS, type RefusalCode } from '../../../../shared/errors/catalogue.ts';
import { sliceElements, sliceMembers, stringOf } from '../../../../shared/json/raw-json.ts';
import type { Connection } from '../../../connection/connection.ts';
import type { SignedIn } from '../../../connection/pusher-session.ts';
import { isAuthorized, userAuthText } from '../channel-auth.ts';
import { appOf, type CommandHandler, type Context, fieldsOf } from '../command.ts';
import { MEMBER_ID_MAX_LENGTH, memberIdOf } from '../member.ts';
import { errorText, signinSuccessText } from '../messages.ts';

const WATCHLIST_MAX = 100;

interface UserData extends SignedIn {
  /** The JSON of each. */
  readonly watchlist: readonly string[];
}

/**
 * `pusher:signin` `{"auth", "user_data"}`: the connection is that user's from now on. A failure ends it, and so does
 * signing in as somebody else.
 */
export const signin: CommandHandler = async (context, connection, command, session) => {
  const { auth, user_data: userData } = fieldsOf(command);
  const app = await appOf(context, connection);
  if (connection.state !== 'open') return undefined;
  if (typeof userData !== 'string' || !isAuthorized(app, auth, userAuthText(connection.id, userData))) {
    refuse(context, connection, 'signin_refused');
    return undefined;
  }
  const user = userOf(userData, context.limits.memberInfoMaxBytes);
  if (typeof user === 'string' || (session.signedIn ?? user).userId !== user.userId) {
    refuse(context, connection, typeof user === 'string' ? user : 'signed_in_already');
    return undefined;
  }
  const isFirst = session.signedIn === undefined;
  session.isAuthorized = true;
  session.signedIn = { userId: user.userId, userInfo: user.userInfo };
  if (isFirst) context.hub.identify(connection, user.userId);
  context.reply(connection, signinSuccessText(userData));
  const watchlist = [...new Set(user.watchlist.flatMap((id) => memberIdOf(id) ?? []))];
  if (watchlist.length > WATCHLIST_MAX) context.reply(connection, errorText(REFUSALS.watchlist_too_long));
  if (!isFirst || watchlist.length === 0) return undefined;
  // Whoever is signed in need not wait for it.
  void context.watchlists.watch(connection, watchlist.slice(0, WATCHLIST_MAX));
  return undefined;
};

function refuse({ reply, end }: Context, connection: Connection, code: RefusalCode): void {
  reply(connection, errorText(REFUSALS[code]));
  end(connection, code);
}

/** Reads `user_data`, which has been verified. The id has to be a string here: clients refuse another. */
function userOf(userData: string, infoMaxBytes: number): UserData | RefusalCode {
  const fields = sliceMembers(userData);
  const userId = stringOf(fields?.get('id'));
  if (userId === undefined || userId === '' || userId.length > MEMBER_ID_MAX_LENGTH) return 'bad_user_data';
  const userInfo = fields?.get('user_info');
  if (Buffer.byteLength(userInfo ?? '') > infoMaxBytes) return 'bad_user_data';
  return { userId, userInfo, watchlist: sliceElements(fields?.get('watchlist') ?? '[]') ?? [] };
}
