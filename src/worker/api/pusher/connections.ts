import { GusherError } from '../../../shared/errors/catalogue.ts';
import { isUserId } from '../../../shared/model/names.ts';
import type { Publisher } from '../../broker/publisher.ts';
import type { PresenceQueries } from './occupancy.ts';
import type { SignedHandler } from './signed-route.ts';

/** `GET /apps/{id}/connections`: how many there are, as Reverb has it. */
export function countConnections(presence: PresenceQueries): SignedHandler {
  return async ({ app }) => {
    const { connections } = await presence.query({ kind: 'app', app: app.key });
    return JSON.stringify({ connections });
  };
}

const SUFFIX = '/terminate_connections';

/**
 * `POST /apps/{id}/users/{user}/terminate_connections`: closes every connection of a user. The Node SDK does not
 * encode the name, so that a user with a slash in it takes several segments.
 */
export function terminateConnections(publisher: Pick<Publisher, 'broadcast'>): SignedHandler {
  return async ({ app, params }) => {
    const rest = params['*'] ?? '';
    if (!rest.endsWith(SUFFIX)) throw new GusherError('not_found');
    const user = rest.slice(0, -SUFFIX.length);
    if (!isUserId(user)) throw new GusherError('bad_user');
    await publisher.broadcast({ kind: 'terminate', app: app.key, user });
    return '{}';
  };
}
