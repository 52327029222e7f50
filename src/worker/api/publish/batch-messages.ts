import type { AppFinder } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { sliceElements } from '../../../shared/json/raw-json.ts';
import type { ChannelPublisher } from '../../broker/publisher.ts';
import { findApp } from '../http/find-app.ts';
import { readMessage, withOrigin } from './channel-messages.ts';
import { mapBatch } from './map-batch.ts';
import { publishMany } from './publish-many.ts';
import type { PublishHandler } from './publish-route.ts';

/** Attack: a body of very many short messages, which would occupy this worker. */
export const MESSAGES_MAX = 10_000;

/**
 * `POST /v1/apps/{app}/messages/batch` with `[{"channel","event","data"}, …]`: publishes all messages in order, or none if
 * one is invalid; the error then has its `index`. Returns `{"total"}`. If the broker disconnects during the batch, the
 * messages published before stay published.
 */
export function publishBatch(dependencies: { apps: AppFinder; publisher: ChannelPublisher }): PublishHandler {
  const { apps, publisher } = dependencies;
  return async ({ app: key }, body, _query, origin) => {
    const app = await findApp(apps, key);
    const elements = sliceElements(body);
    if (elements === undefined) throw new GusherError('bad_body');
    if (elements.length > MESSAGES_MAX) throw new GusherError('batch_too_large');
    const publications = mapBatch(elements, (element, index) => {
      const publication = withOrigin(readMessage(element), origin, index);
      publisher.check(publication);
      return publication;
    });
    await publisher.admit(app, publications.length);
    await publishMany(publisher, app.key, publications);
    return JSON.stringify({ total: publications.length });
  };
}
