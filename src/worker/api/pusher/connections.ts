import { GusherError } from '../../../shared/errors/catalogue.ts';
import { isUserId } from '../../../shared/model/names.ts';
import type { ControlSender } from '../../broker/publisher.ts';
import type { PresenceQueries } from '../../ipc/presence-client.ts';
import type { SignedHandler } from './signed-route.ts';

/** `GET /apps/{id}/connections`: returns the number of connections, as Laravel Reverb does. */
export function countConnections(presence: PresenceQueries): SignedHandler {
  return async ({ app }) => {
    const { connections } = await presence.query({ kind: 'app', app: app.key });
    return JSON.stringify({ connections });
  };
}

const SUFFIX = '/terminate_connections';

/**
 * `POST /apps/{id}/users/{user}/terminate_connections`: closes all connections of a user. The Node SDK does not
 * encode the user id, so an id with a slash spans several path segments.
 */
export function terminateConnections(publisher: ControlSender): SignedHandler {
  return async ({ app, params }) => {
    const rest = params['*'] ?? '';
    if (!rest.endsWith(SUFFIX)) throw new GusherError('not_found');
    const user = rest.slice(0, -SUFFIX.length);
    if (!isUserId(user)) throw new GusherError('bad_user');
    await publisher.broadcast({ kind: 'terminate', app: app.key, user });
    return '{}';
  };
}
