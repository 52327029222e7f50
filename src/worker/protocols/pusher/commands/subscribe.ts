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

/** The `type` in `subscription_error`. Errors that are not listed have `AuthError`. */
const TYPES: Readonly<Partial<Record<string, string>>> = {
  bad_pusher_channel: 'InvalidChannel',
  too_many_subscriptions: 'LimitReached',
  presence_full: 'LimitReached',
  host_full: 'LimitReached',
  channels_full: 'LimitReached',
  subscriptions_full: 'LimitReached',
  names_full: 'LimitReached',
  too_many_joins: 'LimitReached',
  member_too_large: 'LimitReached',
  presence_busy: 'ServerError',
  presence_timeout: 'ServerError',
  apps_unavailable: 'ServerError',
  subscription_rejected: 'ServerError',
  broker_unavailable: 'ServerError',
};

/** Errors of a credential. These are logged. */
const CREDENTIAL_ERRORS: ReadonlySet<ErrorCode> = new Set(['bad_channel_auth', 'user_mismatch']);

/** The subscription that a client requests. */
interface SubscribeRequest {
  readonly channel: string;
  readonly auth: unknown;
  readonly channelData: unknown;
}

/** A subscription that passed all checks. */
interface AuthorizedSubscription {
  readonly channel: string;
  readonly member: Member | undefined;
  readonly membersMax: number;
  readonly sendsCounts: boolean;
}

/**
 * `pusher:subscribe` `{"channel", "auth"?, "channel_data"?}`. A repeated subscription is answered again. The client
 * receives no publication before the answer, and all of them after it. Finishes at once if the app and the topic are
 * known.
 */
export const subscribe: CommandHandler = (context, connection, command, session) => {
  const { channel, auth, channel_data: channelData } = fieldsOf(command);
  if (typeof channel !== 'string') return 'bad_command';
  const sendError = (error: unknown): undefined => sendSubscriptionError(context, connection, channel, error);
  const subscribeTo = (app: App): Promise<void> | undefined =>
    enter(context, connection, authorize(context, connection, session, app, { channel, auth, channelData }));
  try {
    const known = context.apps.peek(connection.appKey);
    const unfinished =
      known === undefined ? appOf(context, connection).then(subscribeTo) : subscribeTo(known);
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
  if (CREDENTIAL_ERRORS.has(error.code)) context.authorizationRejected(connection, error.entry, channel);
  else context.subscriptionRejected(connection, error.code, channel);
  if (connection.state === 'open') {
    context.reply(connection, subscriptionErrorText(channel, type, error.entry), error.code);
  }
}

/** Checks a request, cheapest checks first. Parses nothing that is not signed. Throws a `GusherError`. */
function authorize(
  { hub, limits }: Context,
  connection: Connection,
  session: PusherSession,
  app: App,
  { channel, auth, channelData }: SubscribeRequest,
): AuthorizedSubscription {
  if (!isPusherChannel(channel)) throw new GusherError('bad_pusher_channel');
  const isNew = !hub.isSubscribed(connection, channel);
  if (isNew && connection.subscriptions.length >= limits.subscriptionsMax) {
    throw new GusherError('too_many_subscriptions');
  }
  const authorized = {
    channel,
    member: undefined,
    membersMax: app.max_presence_members ?? limits.presenceMembersMax,
    sendsCounts: app.subscription_count === true && !isPresenceChannel(channel),
  };
  if (isUserChannel(channel)) {
    const isOwn = session.signedIn?.userId === channel.slice(USER_CHANNEL_PREFIX.length);
    if (!isOwn) throw new GusherError('user_mismatch');
    return authorized;
  }
  if (isPublic(channel)) {
    if (!session.isOpen && !connection.grants.allows(channel)) throw new GusherError('not_granted');
    return authorized;
  }
  const signed = typeof channelData === 'string' ? channelData : undefined;
  const text = channelAuthText(connection.id, channel, signed);
  if (!isAuthorized(app, auth, text)) {
    throw new GusherError('bad_channel_auth', { detail: signingHelp(text) });
  }
  session.isAuthorized = true;
  if (!isPresenceChannel(channel)) return authorized;
  return { ...authorized, member: memberFor(session, signed, limits.memberInfoMaxBytes) };
}

function isPublic(channel: string): boolean {
  return !channel.startsWith('private-') && !isPresenceChannel(channel);
}

/** The member that joins a presence channel: from `channel_data`, or else the signed-in user. */
function memberFor(
  { signedIn }: PusherSession,
  channelData: string | undefined,
  infoMaxBytes: number,
): Member {
  if (channelData !== undefined) return memberOf(channelData, infoMaxBytes);
  if (signedIn === undefined) throw new GusherError('bad_member');
  const { userId: user, userInfo: info } = signedIn;
  return { user, ...(info !== undefined && { info }) };
}

function enter(
  context: Context,
  connection: Connection,
  authorized: AuthorizedSubscription,
): Promise<void> | undefined {
  const { channel, member } = authorized;
  if (member !== undefined) return enterPresence(context, connection, authorized, member);
  const entering = isCacheChannel(channel)
    ? enterCache(context, connection, channel)
    : enterPlain(context, connection, channel);
  if (!authorized.sendsCounts) return entering;
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
  return hub.runWithin(connection, [channel], () => {
    const joining = hub.subscribePendingUntilLive(connection, channel);
    const answer = (): undefined => {
      if (joining !== undefined) hub.activate(connection, channel);
      if (connection.state === 'open') reply(connection, subscriptionSucceededText(channel));
    };
    return joining === undefined ? answer() : joining.then(answer);
  });
}

/** Sends the cached event before any later publication, and none of them twice. */
async function enterCache(context: Context, connection: Connection, channel: string): Promise<void> {
  const { hub, reply } = context;
  await hub.runWithin(connection, [channel], () => hub.subscribePending(connection, channel));
  const cached = await findCached(context, connection, channel);
  hub.activate(connection, channel);
  // A closed connection stays subscribed until its remaining commands are executed.
  if (connection.state !== 'open') return;
  reply(connection, subscriptionSucceededText(channel));
  sendCached(context, connection, channel, cached);
}

/** `undefined` also if the broker is unavailable: after a cache miss the client fetches the data itself. */
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
 * The presence registry sends answers and changes in one order: the member list has all earlier members, and events
 * announce all later ones. Therefore the subscription must become active in the same turn as the answer.
 */
async function enterPresence(
  context: Context,
  connection: Connection,
  { channel, membersMax: max }: AuthorizedSubscription,
  member: Member,
): Promise<void> {
  const { hub, presence } = context;
  const { appKey: app } = connection;
  const isNew = !hub.isSubscribed(connection, channel);
  if (isNew) await context.joinPace.wait(connection, topicOf(app, channel));
  if (isNew)
    await hub.runWithin(connection, [channel], () => hub.subscribePending(connection, channel), member);
  const cached = await findCached(context, connection, channel);
  if (connection.state !== 'open') return;
  const error = await new Promise<GusherError | undefined>((resolve) => {
    const callback = (answer: MemberList | GusherError): boolean => {
      resolve(answer instanceof GusherError ? answer : undefined);
      return activateMember(context, connection, { channel, member, cached }, answer);
    };
    if (isNew) presence.enter({ app, channel, member, max }, callback);
    else presence.refresh(app, channel, callback);
  });
  if (error === undefined) return;
  if (isNew) hub.unsubscribe(connection, channel);
  throw error;
}

/** Returns whether the client is still connected, and thus a member. */
function activateMember(
  context: Context,
  connection: Connection,
  subscription: { channel: string; member: Member; cached: CachedPublication | undefined },
  answer: MemberList | GusherError,
): boolean {
  if (answer instanceof GusherError || connection.state !== 'open') return false;
  const { channel, member, cached } = subscription;
  context.hub.activateAs(connection, channel, member);
  context.reply(connection, subscriptionSucceededText(channel, presenceJson(answer)));
  sendCached(context, connection, channel, cached);
  return true;
}
