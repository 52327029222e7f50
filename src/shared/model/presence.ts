/**
 * What workers tell the primary's presence registry, and what it answers: who is present where. Plain data: it crosses
 * process borders as it is.
 *
 * Names are sorted by UTF-16 code units, as `<` compares them. Everything is inside one app; a name in two apps
 * is two names.
 */

/** Most names in one answer: a page takes some milliseconds of a process that must not be late. */
export const PRESENCE_PAGE_MAX = 10_000;

/**
 * Most bytes that the setting for the info of a member may allow. Other hosts accept every info up to this size, or they
 * would miss members.
 */
export const MEMBER_INFO_MAX_BYTES = 64 * 1024;

/** Of an app's connections or of a channel's subscriptions: how many more, or fewer, a user has at a worker. */
export interface PresenceDelta {
  readonly app: string;
  /** Empty: the app itself, whose subscriptions are its connections. */
  readonly channel: string;
  /** Empty: those without a name. They count, and are no user. */
  readonly user: string;
  readonly change: number;
  /** JSON text of what a member of the channel says of itself. The first one a present user brings is kept. */
  readonly info?: string;
}

/** Which part of a sorted list: names that begin with `prefix`, from the one behind `after`, `limit` at most. */
export interface PageRequest {
  readonly prefix?: string;
  readonly after?: string;
  /** Capped at `ROSTER_PAGE_MAX`. */
  readonly limit: number;
}

/** Where the next page begins: its `after`. Absent on the last page. */
interface Page {
  readonly next?: string;
}

export interface ChannelCounts {
  readonly subscriptions: number;
  /** Distinct users with a name. */
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

/** Every question, by kind. Whoever nobody knows is answered with zeros and empty lists. */
export type PresenceQuery =
  /** The occupied channels of an app. */
  | ({ readonly kind: 'channels' } & InApp & PageRequest)
  | ({ readonly kind: 'channelCount'; readonly prefix?: string } & InApp)
  | ({ readonly kind: 'channel' } & InChannel)
  /** Users with a connection to the app, subscribed or not. */
  | ({ readonly kind: 'usersOfApp' } & InApp & PageRequest)
  | ({ readonly kind: 'usersOfChannel' } & InChannel & PageRequest)
  /** Users who are in every one of the channels. */
  | ({ readonly kind: 'usersInAll'; readonly channels: readonly string[] } & InApp & PageRequest)
  | ({ readonly kind: 'members'; readonly limit: number } & InChannel)
  /** How many connections a user has. */
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

/** Somebody comes to a channel that may have `max` users. */
export interface PresenceJoin extends InChannel {
  readonly member: Member;
  readonly max: number;
}

export type PresenceQueryKind = PresenceQuery['kind'];
export type PresenceQueryOf<Kind extends PresenceQueryKind> = Extract<PresenceQuery, { kind: Kind }>;
export type PresenceAnswer = PresenceAnswers[PresenceQueryKind];

/**
 * Questions that can be watched: after the answer come the events of every change to it. `members`: `joined` and
 * `left`; `channel`: `counted`; `user`: `online` and `offline`.
 */
export type Subscribable = PresenceQueryOf<'members' | 'channel' | 'user'>;

/** The same for two questions that watch the same; app keys and channel names have no control characters. */
export function subscriptionKeyOf(query: Subscribable): string {
  return `${query.kind}\n${query.app}\n${query.kind === 'user' ? query.user : query.channel}`;
}

/** A transition: told once each time it happens, however many connections and workers are behind it. */
export type PresenceTransition =
  /** The first subscription to a channel, on any host; the last one is gone. */
  | ({ readonly kind: 'occupied' | 'vacated' } & InChannel)
  /** A user's first subscription to a channel; the last one is gone. `info` is what the members' list has. */
  | ({ readonly kind: 'joined' | 'left'; readonly user: string; readonly info?: string } & InChannel)
  /** A user's first connection to an app; the last one is gone. */
  | ({ readonly kind: 'online' | 'offline'; readonly user: string } & InApp);

/** What a worker hears of what it watches. `counted` comes at most once per turn of the primary's loop. */
export type PresenceEvent =
  | Extract<PresenceTransition, { kind: 'joined' | 'left' | 'online' | 'offline' }>
  | ({ readonly kind: 'counted' } & InChannel & ChannelCounts);
