import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { sliceMembers, stringOf } from '../../../shared/json/raw-json.ts';
import { isEventName, isSocketId, isUserId } from '../../../shared/model/names.ts';
import type { ControlSender } from '../../broker/publisher.ts';
import { findApp } from '../http/find-app.ts';
import type { PublishHandler } from './publish-route.ts';

interface Dependencies {
  readonly apps: AppFinder;
  readonly publisher: ControlSender;
}

/**
 * `POST /v1/apps/{app}/users/{user}/messages` with `{"data","event"?}`: sends to all connections of a user. Succeeds even
 * if the user has none.
 */
export function publishToUser({ apps, publisher }: Dependencies): PublishHandler {
  return async ({ app: key, user = '' }, body, _query, { id, span }) => {
    const app = await findApp(apps, key);
    if (!isUserId(user)) throw new GusherError('bad_user');
    const content = readContent(body);
    await publisher.admit(app, 1);
    await publisher.broadcast(
      { kind: 'toUser', app: app.key, user, ...content, ...(id && { id }) },
      span?.nextTrace(),
    );
    return echo('user_id', user, content.data);
  };
}

/** `POST /v1/apps/{app}/sockets/{socket}/messages` with `{"data","event"?}`: sends to one connection. */
export function publishToSocket({ apps, publisher }: Dependencies): PublishHandler {
  return async ({ app: key, socket = '' }, body, _query, { id, span }) => {
    const app = await findApp(apps, key);
    if (!isSocketId(socket)) throw new GusherError('bad_socket');
    const content = readContent(body);
    await publisher.admit(app, 1);
    await publisher.broadcast(
      { kind: 'toSocket', app: app.key, socket, ...content, ...(id && { id }) },
      span?.nextTrace(),
    );
    return echo('socket_id', socket, content.data);
  };
}

function readContent(body: string): { event?: string; data: string } {
  const members = sliceMembers(body);
  if (members === undefined) throw new GusherError('bad_body');
  const data = members.get('data') ?? 'null';
  if (!members.has('event')) return { data };
  const event = stringOf(members.get('event'));
  if (event === undefined || !isEventName(event)) throw new GusherError('bad_event');
  return { event, data };
}

function echo(name: string, id: string, data: string): string {
  return `{"${name}":${JSON.stringify(id)},"data":${data}}`;
}
