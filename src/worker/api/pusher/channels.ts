import { RefusalError } from '../../../shared/errors/catalogue.ts';
import { ROSTER_PAGE_MAX } from '../../../shared/model/presence.ts';
import { isPresenceChannel } from '../../../shared/model/pusher-channel.ts';
import { attributesOf } from './info.ts';
import { type Occupancy, occupancyOf, type Roster } from './occupancy.ts';
import type { SignedHandler } from './signed-route.ts';

/** `GET /apps/{id}/channels`: the occupied channels, by `filter_by_prefix`, with the counts that `info` names. */
export function listChannels(roster: Roster): SignedHandler {
  return async ({ app, query }) => {
    const prefix = query.get('filter_by_prefix') ?? '';
    const asked = attributesOf(query.get('info'));
    if (asked.has('user_count') && !isPresenceChannel(prefix)) throw new RefusalError('users_not_counted');
    const channels: [string, Occupancy][] = [];
    let after: string | undefined;
    do {
      const page = await roster.ask({
        kind: 'channels',
        app: app.key,
        prefix,
        limit: ROSTER_PAGE_MAX,
        ...(after !== undefined && { after }),
      });
      for (const { channel, ...counts } of page.channels) {
        channels.push([channel, occupancyOf(channel, counts, asked)]);
      }
      after = page.next;
    } while (after !== undefined);
    return JSON.stringify({ channels: Object.fromEntries(channels) });
  };
}
