import { GusherError } from '../../../shared/errors/catalogue.ts';
import type {
  ChannelCounts,
  PresenceAnswers,
  PresenceQueryKind,
  PresenceQueryOf,
} from '../../../shared/model/presence.ts';
import { isPresenceChannel } from '../../../shared/model/pusher-channel.ts';

/** Who knows who is where. Rejects with `presence_busy` or `presence_timeout`. */
export interface PresenceQueries {
  query<Kind extends PresenceQueryKind>(query: PresenceQueryOf<Kind>): Promise<PresenceAnswers[Kind]>;
}

/** Counts of a channel by the names of the protocol. */
export type Occupancy = Partial<Record<'subscription_count' | 'user_count', number>>;

/** Of the counts of a channel, those that were asked for; users are counted on presence channels only. */
export function occupancyOf(
  channel: string,
  { subscriptions, users }: ChannelCounts,
  attributes: ReadonlySet<Attribute>,
): Occupancy {
  return {
    ...(attributes.has('subscription_count') && { subscription_count: subscriptions }),
    ...(attributes.has('user_count') && isPresenceChannel(channel) && { user_count: users }),
  };
}

/** Asks for the counts of one channel. */
export async function fetchOccupancy(
  presence: PresenceQueries,
  app: string,
  channel: string,
  attributes: ReadonlySet<Attribute>,
): Promise<Occupancy> {
  return occupancyOf(channel, await presence.query({ kind: 'channel', app, channel }), attributes);
}

/** What can be asked of a channel by `info`. */
export type Attribute = 'subscription_count' | 'user_count' | 'cache';

const ATTRIBUTES: readonly Attribute[] = ['subscription_count', 'user_count', 'cache'];

/** Reads `info`: names between commas. Those that this server does not know are passed over. */
export function attributesOf(info: unknown): ReadonlySet<Attribute> {
  if (info === undefined || info === null) return new Set();
  if (typeof info !== 'string') throw new GusherError('bad_info');
  const names = info.split(',').map((name) => name.trim());
  return new Set(ATTRIBUTES.filter((attribute) => names.includes(attribute)));
}
