import { RefusalError } from '../../../shared/errors/catalogue.ts';
import { ROSTER_PAGE_MAX } from '../../../shared/model/presence.ts';
import { isPresenceChannel } from '../../../shared/model/pusher-channel.ts';
import type { Roster } from './occupancy.ts';
import type { SignedHandler } from './signed-route.ts';

/** `GET /apps/{id}/channels/{channel}/users`: who is in a presence channel, each user once. */
export function listUsers(roster: Roster): SignedHandler {
  return async ({ app, params }) => {
    const channel = params.channel ?? '';
    if (!isPresenceChannel(channel)) throw new RefusalError('users_not_counted');
    const users: { id: string }[] = [];
    let after: string | undefined;
    do {
      const page = await roster.ask({
        kind: 'usersOfChannel',
        app: app.key,
        channel,
        limit: ROSTER_PAGE_MAX,
        ...(after !== undefined && { after }),
      });
      for (const id of page.users) users.push({ id });
      after = page.next;
    } while (after !== undefined);
    return JSON.stringify({ users });
  };
}
