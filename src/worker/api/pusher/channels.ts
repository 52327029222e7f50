import { GusherError } from '../../../shared/errors/catalogue.ts';
import { CHANNEL_MAX_LENGTH, isName, topicOf } from '../../../shared/model/names.ts';
import type { CachedPublication } from '../../../shared/model/publication.ts';
import { isCacheChannel, isPresenceChannel, isPusherChannel } from '../../../shared/model/pusher-channel.ts';
import type { PresenceQueries } from '../../ipc/presence-client.ts';
import { allPages } from '../http/pagination.ts';
import { attributesOf, type Occupancy, occupancyOf } from './occupancy.ts';
import type { SignedHandler } from './signed-route.ts';

/** `GET /apps/{id}/channels`: returns the occupied channels, by `filter_by_prefix`, with the attributes in `info`. */
export function listChannels(presence: PresenceQueries): SignedHandler {
  return async ({ app, query }) => {
    const prefix = query.get('filter_by_prefix') ?? '';
    if (prefix !== '' && !isName(prefix, CHANNEL_MAX_LENGTH)) throw new GusherError('bad_pusher_channel');
    const attributes = attributesOf(query.get('info'));
    if (attributes.has('user_count') && !isPresenceChannel(prefix))
      throw new GusherError('users_not_counted');
    const channels: [string, Occupancy][] = [];
    const pages = allPages((page) => presence.query({ kind: 'channels', app: app.key, prefix, ...page }));
    for await (const page of pages) {
      for (const { channel, ...counts } of page.channels) {
        channels.push([channel, occupancyOf(channel, counts, attributes)]);
      }
    }
    return JSON.stringify({ channels: Object.fromEntries(channels) });
  };
}

const MS_PER_SECOND = 1_000;

/** Returns the cached publication of a cache channel. */
export interface ChannelCache {
  cached(topic: string): Promise<CachedPublication | undefined>;
}

/** `GET /apps/{id}/channels/{channel}`: returns whether it is occupied, and the attributes in `info`. */
export function showChannel(presence: PresenceQueries, cache: ChannelCache): SignedHandler {
  return async ({ app, params, query }) => {
    const channel = params.channel ?? '';
    if (!isPusherChannel(channel)) throw new GusherError('bad_pusher_channel');
    const attributes = attributesOf(query.get('info'));
    if (attributes.has('user_count') && !isPresenceChannel(channel))
      throw new GusherError('users_not_counted');
    const counts = await presence.query({ kind: 'channel', app: app.key, channel });
    const wantsCached = attributes.has('cache') && isCacheChannel(channel);
    const cached = wantsCached ? await cache.cached(topicOf(app.key, channel)) : undefined;
    return JSON.stringify({
      occupied: counts.subscriptions > 0,
      ...occupancyOf(channel, counts, attributes),
      ...(wantsCached && { cache: cached === undefined ? null : cacheOf(cached) }),
    });
  };
}

/** Returns the data as the publisher wrote it, and the remaining seconds in the cache. */
function cacheOf({ publication: { text, data }, ttlMs }: CachedPublication): { data: string; ttl: number } {
  return { data: text ?? data, ttl: Math.ceil(ttlMs / MS_PER_SECOND) };
}

/** `GET /apps/{id}/channels/{channel}/stats`, for old SDKs: returns whether it is occupied, and its counts. */
export function showChannelStats(presence: PresenceQueries): SignedHandler {
  const counts = attributesOf('subscription_count,user_count');
  return async ({ app, params }) => {
    const channel = params.channel ?? '';
    if (!isPusherChannel(channel)) throw new GusherError('bad_pusher_channel');
    const found = await presence.query({ kind: 'channel', app: app.key, channel });
    return JSON.stringify({ occupied: found.subscriptions > 0, ...occupancyOf(channel, found, counts) });
  };
}

/** `GET /apps/{id}/channels/{channel}/users`: returns the users of a presence channel, each once. */
export function listUsers(presence: PresenceQueries): SignedHandler {
  return async ({ app, params }) => {
    const channel = params.channel ?? '';
    if (!isPusherChannel(channel)) throw new GusherError('bad_pusher_channel');
    if (!isPresenceChannel(channel)) throw new GusherError('users_not_counted');
    const users: { id: string }[] = [];
    const pages = allPages((page) =>
      presence.query({ kind: 'usersOfChannel', app: app.key, channel, ...page }),
    );
    for await (const page of pages) for (const id of page.users) users.push({ id });
    return JSON.stringify({ users });
  };
}
