import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { sliceMembers, stringOf } from '../../../shared/json/raw-json.ts';
import { isChannelName, isEventName } from '../../../shared/model/names.ts';
import { envelopeOf, type Publication } from '../../../shared/model/publication.ts';
import type { Publisher } from '../../broker/publisher.ts';
import { findApp } from '../http/find-app.ts';
import type { PublishHandler } from './publish-route.ts';

/**
 * `POST /v1/apps/{app}/channels/{channel}/messages` with `{"event","data"}`: publishes to one channel. Returns the
 * envelope that its subscribers receive.
 */
export function publishMessage(dependencies: {
  apps: AppFinder;
  publisher: Pick<Publisher, 'publish' | 'admit'>;
}): PublishHandler {
  return async ({ app: key, channel = '' }, body, _query, id) => {
    const app = await findApp(dependencies.apps, key);
    const publication = withId(readMessage(body, channel), id);
    await dependencies.publisher.admit(app, 1);
    await dependencies.publisher.publish(app.key, publication);
    return envelopeOf(publication);
  };
}

/** Parses `{"channel","event","data"}`; `channel` replaces the one in the text. Throws a `GusherError`. */
export function readMessage(text: string, channel?: string): Publication {
  const members = sliceMembers(text);
  if (members === undefined) throw new GusherError('bad_body');
  const name = channel ?? stringOf(members.get('channel')) ?? '';
  if (!isChannelName(name)) throw new GusherError('bad_channel');
  const event = stringOf(members.get('event'));
  if (event === undefined || !isEventName(event)) throw new GusherError('bad_event');
  return { channel: name, event, data: members.get('data') ?? 'null' };
}

/** Adds an id. `index` distinguishes publications of one request to the same channel. */
export function withId(publication: Publication, id: string | undefined, index?: number): Publication {
  if (id === undefined) return publication;
  return { ...publication, id: index === undefined ? id : `${id}:${index}` };
}
