/**
 * Messages between workers and the presence registry of the primary. Plain data, which crosses process borders unchanged.
 *
 * Names are sorted by UTF-16 code units, as `<` compares them. Names are scoped to one app.
 */

/** Most names in one answer: one page occupies the primary for some milliseconds. */
export const PRESENCE_PAGE_MAX = 10_000;

/**
 * Most bytes that the setting for the info of a member may allow. Other hosts accept every info up to this size, or they
 * would miss members.
 */
export const MEMBER_INFO_MAX_BYTES = 64 * 1024;

/** A change in the number of connections or subscriptions of a user at a worker. */
export interface PresenceDelta {
  readonly app: string;
  /** Empty for the app itself, whose subscriptions are its connections. */
  readonly channel: string;
  /** Empty for clients without a user id: they count as subscriptions, not as users. */
  readonly user: string;
  readonly change: number;
  /** JSON text of `user_info`. The registry keeps the first one of a present user. */
  readonly info?: string;
}

/** A page of a sorted list: at most `limit` names that begin with `prefix` and follow `after`. */
export interface PageRequest {
  readonly prefix?: string;
  readonly after?: string;
  /** Capped at `PRESENCE_PAGE_MAX`. */
  readonly limit: number;
}

/** `next` is the `after` of the next page; absent on the last page. */
interface Page {
  readonly next?: string;
}

export interface ChannelCounts {
  readonly subscriptions: number;
  /** Distinct user ids. */
  readonly users: number;
}

export interface AppCounts extends ChannelCounts {
  readonly connections: number;
  readonly channels: number;
}

export interface Member {
  readonly user: string;
  readonly info?: string;
}

export interface ChannelPage extends Page {
  readonly channels: readonly (ChannelCounts & { readonly channel: string })[];
}

export interface UserPage extends Page {
  readonly users: readonly string[];
}

export interface AppPage extends Page {
  readonly apps: readonly (AppCounts & { readonly app: string })[];
}

/** `members` are the first of them, in order; `users` is how many there are. */
export interface MemberList extends ChannelCounts {
  readonly members: readonly Member[];
}

interface InApp {
  readonly app: string;
}

interface InChannel extends InApp {
  readonly channel: string;
}

/** Every query, by kind. For unknown names the result has zeros and empty lists. */
export type PresenceQuery =
  /** The occupied channels of an app. */
  | ({ readonly kind: 'channels' } & InApp & PageRequest)
  | ({ readonly kind: 'channelCount'; readonly prefix?: string } & InApp)
  | ({ readonly kind: 'channel' } & InChannel)
  /** Users with a connection to the app, subscribed or not. */
  | ({ readonly kind: 'usersOfApp' } & InApp & PageRequest)
  | ({ readonly kind: 'usersOfChannel' } & InChannel & PageRequest)
  /** Users in every one of the channels. */
  | ({ readonly kind: 'usersInAll'; readonly channels: readonly string[] } & InApp & PageRequest)
  | ({ readonly kind: 'members'; readonly limit: number } & InChannel)
  /** The number of connections of a user. */
  | ({ readonly kind: 'user'; readonly user: string } & InApp)
  | ({ readonly kind: 'app' } & InApp)
  /** Apps with a connection or a subscription. */
  | ({ readonly kind: 'apps' } & PageRequest)
  | { readonly kind: 'totals' };

export interface PresenceAnswers {
  readonly channels: ChannelPage;
  readonly channelCount: number;
  readonly channel: ChannelCounts;
  readonly usersOfApp: UserPage;
  readonly usersOfChannel: UserPage;
  readonly usersInAll: UserPage;
  readonly members: MemberList;
  readonly user: number;
  readonly app: AppCounts;
  readonly apps: AppPage;
  readonly totals: AppCounts & { readonly apps: number };
}

/** A member joins a channel that may have `max` users. */
export interface PresenceJoin extends InChannel {
  readonly member: Member;
  readonly max: number;
}

export type PresenceQueryKind = PresenceQuery['kind'];
export type PresenceQueryOf<Kind extends PresenceQueryKind> = Extract<PresenceQuery, { kind: Kind }>;
export type PresenceAnswer = PresenceAnswers[PresenceQueryKind];

/**
 * Queries that a worker can subscribe to: events of every change follow the answer. `members`: `joined` and `left`;
 * `channel`: `counted`; `user`: `online` and `offline`.
 */
export type Subscribable = PresenceQueryOf<'members' | 'channel' | 'user'>;

/** Returns equal keys for equal subscriptions; app keys and channel names have no control characters. */
export function subscriptionKeyOf(query: Subscribable): string {
  return `${query.kind}\n${query.app}\n${query.kind === 'user' ? query.user : query.channel}`;
}

/** A transition of presence on all hosts, sent once each time, regardless of the number of connections. */
export type PresenceTransition =
  /** The first subscription to a channel began, or the last one ended, on any host. */
  | ({ readonly kind: 'occupied' | 'vacated' } & InChannel)
  /** The first subscription of a user to a channel began, or the last one ended. `info` is that of the member list. */
  | ({ readonly kind: 'joined' | 'left'; readonly user: string; readonly info?: string } & InChannel)
  /** The first connection of a user to an app opened, or the last one closed. */
  | ({ readonly kind: 'online' | 'offline'; readonly user: string } & InApp);

/** An event for a subscribed worker. `counted` is sent at most once per event-loop tick of the primary. */
export type PresenceEvent =
  | Extract<PresenceTransition, { kind: 'joined' | 'left' | 'online' | 'offline' }>
  | ({ readonly kind: 'counted' } & InChannel & ChannelCounts);

/**
 * Memory that names take in the primary, which holds every channel and user of all workers and hosts: the measured heap
 * size of one entry (see docs/performance.md), and two bytes per character for each of two copies.
 */
const CHANNEL_BYTES = 1_200;
const USER_BYTES = 400;
const BYTES_PER_CHARACTER = 4;

/** Returns the cost of an occupied channel in bytes; an empty name stands for the connections of an app. */
export function channelCost(channel: string): number {
  return CHANNEL_BYTES + BYTES_PER_CHARACTER * channel.length;
}

/** Returns the cost of a user in one channel or app in bytes. Connections without a user cost nothing. */
export function userCost(user: string): number {
  return user === '' ? 0 : USER_BYTES + BYTES_PER_CHARACTER * user.length;
}

/** Returns the cost of a subscription to a user, or to the members or counts of a channel, in bytes. */
export function subscriptionCost(query: Subscribable): number {
  return userCost(query.kind === 'user' ? query.user : query.channel);
}
