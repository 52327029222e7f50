import type { AppRegistry } from '../../../shared/apps/app-registry.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { sliceElements } from '../../../shared/json/raw-json.ts';
import type { Publisher } from '../../broker/publisher.ts';
import { findApp } from '../http/find-app.ts';
import { readMessage, withId } from './channel-messages.ts';
import { publishMany } from './publish-many.ts';
import type { PublishHandler } from './publish-route.ts';

/** Attack: a body of the shortest messages there are, which would keep this worker from everything else. */
const MESSAGES_MAX = 10_000;

/**
 * `POST /v1/apps/{app}/messages/batch` with `[{"channel","event","data"}, …]`: publishes all of them in order, or
 * none if one is wrong; answers `{"total"}`. If the broker is lost in the middle, what was published stays so.
 */
export function publishBatch(dependencies: {
  apps: Pick<AppRegistry, 'find'>;
  publisher: Pick<Publisher, 'publish' | 'check'>;
}): PublishHandler {
  return async ({ app: key }, body, _query, id) => {
    const app = await findApp(dependencies.apps, key);
    const elements = sliceElements(body);
    if (elements === undefined) throw new GusherError('bad_body');
    if (elements.length > MESSAGES_MAX) throw new GusherError('batch_too_large');
    const publications = elements.map((element, index) => withId(readMessage(element), id, index));
    await publishMany(dependencies.publisher, app.key, publications);
    return JSON.stringify({ total: publications.length });
  };
}
