import type { App } from '../../../../shared/apps/app.ts';
import { type ErrorCode, GusherError } from '../../../../shared/errors/catalogue.ts';
import { topicOf } from '../../../../shared/model/names.ts';
import type { Member, MemberList } from '../../../../shared/model/presence.ts';
import type { CachedPublication, Publication } from '../../../../shared/model/publication.ts';
import {
  isCacheChannel,
  isPresenceChannel,
  isPusherChannel,
  isUserChannel,
  USER_CHANNEL_PREFIX,
} from '../../../../shared/model/pusher-channel.ts';
import type { Connection } from '../../../connection/connection.ts';
import type { PusherSession } from '../../../connection/pusher-session.ts';
import { channelAuthText, isAuthorized, signingHelp } from '../channel-auth.ts';
import { appOf, type CommandHandler, type Context, fieldsOf } from '../command.ts';
import { memberOf } from '../member.ts';
import {
  cacheMissText,
  presenceJson,
  publicationText,
  subscriptionErrorText,
  subscriptionSucceededText,
} from '../messages.ts';

/** What `subscription_error` calls an error; `AuthError` where it is one of these no longer. */
const TYPES: Readonly<Partial<Record<string, string>>> = {
  bad_pusher_channel: 'InvalidChannel',
  too_many_subscriptions: 'LimitReached',
  presence_full: 'LimitReached',
  host_full: 'LimitReached',
  too_many_joins: 'LimitReached',
  member_too_large: 'LimitReached',
  presence_busy: 'ServerError',
  presence_timeout: 'ServerError',
  apps_unavailable: 'ServerError',
  subscription_refused: 'ServerError',
};

/** Errors of a credential, which an operator wants to know of. */
const BY_CREDENTIAL: ReadonlySet<ErrorCode> = new Set(['bad_channel_auth', 'user_mismatch']);

/** What a client asks for. */
interface SubscribeRequest {
  readonly channel: string;
  readonly auth: unknown;
  readonly channelData: unknown;
}

/** One that may be fulfilled. */
interface Entry {
  readonly channel: string;
  readonly member: Member | undefined;
  readonly membersMax: number;
  readonly sendsCounts: boolean;
}

/**
 * `pusher:subscribe` `{"channel", "auth"?, "channel_data"?}`. Subscribing twice is answered twice. What is published
 * from the answer on arrives, and nothing arrives before it. Where nothing has to be asked it is done at once.
 */
export const subscribe: CommandHandler = (context, connection, command, session) => {
  const { channel, auth, channel_data: channelData } = fieldsOf(command);
  if (typeof channel !== 'string') return 'bad_command';
  const sendError = (error: unknown): undefined => sendSubscriptionError(context, connection, channel, error);
  const go = (app: App): Promise<void> | undefined =>
    enter(context, connection, authorize(context, connection, session, app, { channel, auth, channelData }));
  try {
    const known = context.apps.peek(connection.appKey);
    const unfinished = known === undefined ? appOf(context, connection).then(go) : go(known);
    return unfinished?.then(() => undefined, sendError);
  } catch (error) {
    return sendError(error);
  }
};

function sendSubscriptionError(
  context: Context,
  connection: Connection,
  channel: string,
  error: unknown,
): undefined {
  if (!(error instanceof GusherError)) throw error;
  const type = TYPES[error.entry.code] ?? 'AuthError';
  if (BY_CREDENTIAL.has(error.code)) context.authorizationRefused(connection, error.entry, channel);
  if (connection.state === 'open') {
    context.reply(connection, subscriptionErrorText(channel, type, error.entry));
  }
}

/** Checks, cheapest first, and nothing is parsed that was not signed. Throws the error. */
function authorize(
  { hub, limits }: Context,
  connection: Connection,
  session: PusherSession,
  app: App,
  { channel, auth, channelData }: SubscribeRequest,
): Entry {
  if (!isPusherChannel(channel)) throw new GusherError('bad_pusher_channel');
  const isNew = !hub.isSubscribed(connection, channel);
  if (isNew && connection.subscriptions.length >= limits.subscriptionsMax) {
    throw new GusherError('too_many_subscriptions');
  }
  if (isNew && !hub.hasRoomFor([channel], connection)) throw new GusherError('host_full');
  const entry = {
    channel,
    member: undefined,
    membersMax: app.max_presence_members ?? limits.presenceMembersMax,
    sendsCounts: app.subscription_count === true && !isPresenceChannel(channel),
  };
  if (isUserChannel(channel)) {
    const isOwn = session.signedIn?.userId === channel.slice(USER_CHANNEL_PREFIX.length);
    if (!isOwn) throw new GusherError('user_mismatch');
    return entry;
  }
  if (isPublic(channel)) {
    if (!session.isOpen && !connection.grants.allows(channel)) throw new GusherError('not_granted');
    return entry;
  }
  const signed = typeof channelData === 'string' ? channelData : undefined;
  const text = channelAuthText(connection.id, channel, signed);
  if (!isAuthorized(app, auth, text)) {
    throw new GusherError('bad_channel_auth', { detail: signingHelp(text) });
  }
  session.isAuthorized = true;
  if (!isPresenceChannel(channel)) return entry;
  return { ...entry, member: memberFor(session, signed, limits.memberInfoMaxBytes) };
}

function isPublic(channel: string): boolean {
  return !channel.startsWith('private-') && !isPresenceChannel(channel);
}

/** Who joins a presence channel: whom the backend says, or else whom the client has signed in as. */
function memberFor(
  { signedIn }: PusherSession,
  channelData: string | undefined,
  infoMaxBytes: number,
): Member {
  if (channelData !== undefined) {
    const member = memberOf(channelData, infoMaxBytes);
    if (typeof member === 'string') throw new GusherError(member);
    return member;
  }
  if (signedIn === undefined) throw new GusherError('bad_member');
  const { userId: user, userInfo: info } = signedIn;
  return { user, ...(info !== undefined && { info }) };
}

function enter(context: Context, connection: Connection, entry: Entry): Promise<void> | undefined {
  const { channel, member } = entry;
  if (member !== undefined) return enterPresence(context, connection, entry, member);
  const entering = isCacheChannel(channel)
    ? enterCache(context, connection, channel)
    : enterPlain(context, connection, channel);
  if (!entry.sendsCounts) return entering;
  const count = (): void => {
    if (connection.state === 'open') context.counts.enter(connection.appKey, channel);
  };
  if (entering !== undefined) return entering.then(count);
  count();
  return undefined;
}

function enterPlain(
  { hub, reply }: Context,
  connection: Connection,
  channel: string,
): Promise<void> | undefined {
  const joining = hub.subscribePendingUntilLive(connection, channel);
  const answer = (): undefined => {
    if (joining !== undefined) hub.activate(connection, channel);
    if (connection.state === 'open') reply(connection, subscriptionSucceededText(channel));
  };
  return joining === undefined ? answer() : joining.then(answer);
}

/** What is kept is told before anything that came later, and what came meanwhile is not told twice. */
async function enterCache(context: Context, connection: Connection, channel: string): Promise<void> {
  const { hub, reply } = context;
  await hub.subscribePending(connection, channel);
  const cached = await findCached(context, connection, channel);
  hub.activate(connection, channel);
  // It may have gone; what else it has said is carried out.
  if (connection.state !== 'open') return;
  reply(connection, subscriptionSucceededText(channel));
  sendCached(context, connection, channel, cached);
}

/** `undefined` as well where it cannot be known: the client then asks whoever filled the cache. */
async function findCached(
  { hub, broker }: Context,
  { appKey }: Connection,
  channel: string,
): Promise<CachedPublication | undefined> {
  if (!isCacheChannel(channel) || hub.cachedEvent(appKey, channel) !== undefined) return undefined;
  try {
    return await broker.cached(topicOf(appKey, channel));
  } catch (error) {
    if (error instanceof GusherError) return undefined;
    throw error;
  }
}

function sendCached(
  { hub, reply, report }: Context,
  connection: Connection,
  channel: string,
  cached: CachedPublication | undefined,
): void {
  if (!isCacheChannel(channel)) return;
  const last: Publication | undefined = hub.cachedEvent(connection.appKey, channel) ?? cached?.publication;
  if (last !== undefined) {
    reply(connection, publicationText(last));
    return;
  }
  reply(connection, cacheMissText(channel));
  report(connection.appKey, { name: 'cache_miss', channel });
}

/**
 * The presence registry answers and tells changes in one order. So the answer has whoever came before it, and whoever comes
 * after is told as an event: to that end the client begins to listen in the very turn of the answer.
 */
async function enterPresence(
  context: Context,
  connection: Connection,
  { channel, membersMax: max }: Entry,
  member: Member,
): Promise<void> {
  const { hub, presence } = context;
  const { appKey: app } = connection;
  const isNew = !hub.isSubscribed(connection, channel);
  if (isNew) await context.joinPace.wait(connection, topicOf(app, channel));
  if (isNew) await hub.subscribePending(connection, channel);
  const cached = await findCached(context, connection, channel);
  if (connection.state !== 'open') return;
  const error = await new Promise<GusherError | undefined>((resolve) => {
    const callback = (answer: MemberList | GusherError): boolean => {
      resolve(answer instanceof GusherError ? answer : undefined);
      return accept(context, connection, { channel, member, cached }, answer);
    };
    if (isNew) presence.enter({ app, channel, member, max }, callback);
    else presence.refresh(app, channel, callback);
  });
  if (error === undefined) return;
  if (isNew) hub.unsubscribe(connection, channel);
  throw error;
}

/** Says whether the client is there to be in. */
function accept(
  context: Context,
  connection: Connection,
  about: { channel: string; member: Member; cached: CachedPublication | undefined },
  answer: MemberList | GusherError,
): boolean {
  if (answer instanceof GusherError || connection.state !== 'open') return false;
  const { channel, member, cached } = about;
  context.hub.activateAs(connection, channel, member);
  context.reply(connection, subscriptionSucceededText(channel, presenceJson(answer)));
  sendCached(context, connection, channel, cached);
  return true;
}
