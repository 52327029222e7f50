import { GusherError } from '../../../shared/errors/catalogue.ts';
import { CHANNEL_MAX_LENGTH, isName, topicOf } from '../../../shared/model/names.ts';
import { PRESENCE_PAGE_MAX } from '../../../shared/model/presence.ts';
import type { CachedPublication } from '../../../shared/model/publication.ts';
import { isCacheChannel, isPresenceChannel, isPusherChannel } from '../../../shared/model/pusher-channel.ts';
import { attributesOf, type Occupancy, occupancyOf, type PresenceQueries } from './occupancy.ts';
import type { SignedHandler } from './signed-route.ts';

/** `GET /apps/{id}/channels`: the occupied channels, by `filter_by_prefix`, with the counts that `info` names. */
export function listChannels(presence: PresenceQueries): SignedHandler {
  return async ({ app, query }) => {
    const prefix = query.get('filter_by_prefix') ?? '';
    if (prefix !== '' && !isName(prefix, CHANNEL_MAX_LENGTH)) throw new GusherError('bad_pusher_channel');
    const attributes = attributesOf(query.get('info'));
    if (attributes.has('user_count') && !isPresenceChannel(prefix))
      throw new GusherError('users_not_counted');
    const channels: [string, Occupancy][] = [];
    let after: string | undefined;
    do {
      const page = await presence.query({
        kind: 'channels',
        app: app.key,
        prefix,
        limit: PRESENCE_PAGE_MAX,
        ...(after !== undefined && { after }),
      });
      for (const { channel, ...counts } of page.channels) {
        channels.push([channel, occupancyOf(channel, counts, attributes)]);
      }
      after = page.next;
    } while (after !== undefined);
    return JSON.stringify({ channels: Object.fromEntries(channels) });
  };
}

const MS_PER_SECOND = 1_000;

/** Who knows what a cache channel keeps. */
export interface Cache {
  cached(topic: string): Promise<CachedPublication | undefined>;
}

/** `GET /apps/{id}/channels/{channel}`: whether it is occupied, and what `info` names. */
export function showChannel(presence: PresenceQueries, cache: Cache): SignedHandler {
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

/** As its publisher wrote it, and for how many more seconds it is kept. */
function cacheOf({ publication: { text, data }, ttlMs }: CachedPublication): { data: string; ttl: number } {
  return { data: text ?? data, ttl: Math.ceil(ttlMs / MS_PER_SECOND) };
}

/** `GET /apps/{id}/channels/{channel}/stats`, which old SDKs ask for: whether it is occupied, and its counts. */
export function showChannelStats(presence: PresenceQueries): SignedHandler {
  const counts = attributesOf('subscription_count,user_count');
  return async ({ app, params }) => {
    const channel = params.channel ?? '';
    if (!isPusherChannel(channel)) throw new GusherError('bad_pusher_channel');
    const found = await presence.query({ kind: 'channel', app: app.key, channel });
    return JSON.stringify({ occupied: found.subscriptions > 0, ...occupancyOf(channel, found, counts) });
  };
}

/** `GET /apps/{id}/channels/{channel}/users`: who is in a presence channel, each user once. */
export function listUsers(presence: PresenceQueries): SignedHandler {
  return async ({ app, params }) => {
    const channel = params.channel ?? '';
    if (!isPusherChannel(channel)) throw new GusherError('bad_pusher_channel');
    if (!isPresenceChannel(channel)) throw new GusherError('users_not_counted');
    const users: { id: string }[] = [];
    let after: string | undefined;
    do {
      const page = await presence.query({
        kind: 'usersOfChannel',
        app: app.key,
        channel,
        limit: PRESENCE_PAGE_MAX,
        ...(after !== undefined && { after }),
      });
      for (const id of page.users) users.push({ id });
      after = page.next;
    } while (after !== undefined);
    return JSON.stringify({ users });
  };
}
