import { RefusalError } from '../../../shared/errors.ts';
import { isPusherChannel } from '../../../shared/pusher-channel.ts';
import { attributesOf } from './info.ts';
import { occupancyOf, type Roster } from './occupancy.ts';
import type { SignedHandler } from './signed.ts';

/** `GET /apps/{id}/channels/{channel}`: whether it is occupied, and what `info` names. */
export function showChannel(roster: Roster): SignedHandler {
  return async ({ app, params, query }) => {
    const channel = params.channel ?? '';
    if (!isPusherChannel(channel)) throw new RefusalError('bad_pusher_channel');
    const asked = attributesOf(query.get('info'));
    const counts = await roster.ask({ kind: 'channel', app: app.key, channel });
    return JSON.stringify({ occupied: counts.subscriptions > 0, ...occupancyOf(channel, counts, asked) });
  };
}
