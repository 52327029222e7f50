import { GusherError } from '../../../shared/errors/catalogue.ts';
import type { ChannelCounts } from '../../../shared/model/presence.ts';
import { isPresenceChannel } from '../../../shared/model/pusher-channel.ts';
import type { PresenceQueries } from '../../ipc/presence-client.ts';

/** Counts of a channel by the names of the protocol. */
export type Occupancy = Partial<Record<'subscription_count' | 'user_count', number>>;

/** Returns the requested counts of a channel; `user_count` exists for presence channels only. */
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

/** Queries the requested counts of one channel. */
export async function fetchOccupancy(
  presence: PresenceQueries,
  app: string,
  channel: string,
  attributes: ReadonlySet<Attribute>,
): Promise<Occupancy> {
  return occupancyOf(channel, await presence.query({ kind: 'channel', app, channel }), attributes);
}

/** An attribute of a channel that `info` may request. */
export type Attribute = 'subscription_count' | 'user_count' | 'cache';

export const ATTRIBUTES: readonly Attribute[] = ['subscription_count', 'user_count', 'cache'];

/** Parses `info`: names separated by commas. Ignores unknown names. */
export function attributesOf(info: unknown): ReadonlySet<Attribute> {
  if (info === undefined || info === null) return new Set();
  if (typeof info !== 'string') throw new GusherError('bad_info');
  const names = info.split(',').map((name) => name.trim());
  return new Set(ATTRIBUTES.filter((attribute) => names.includes(attribute)));
}
