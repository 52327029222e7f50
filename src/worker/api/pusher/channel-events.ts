import { isUtf8 } from 'node:buffer';
import { RefusalError } from '../../../shared/errors/catalogue.ts';
import { parseEvent } from './event.ts';
import type { EventParts } from './publish.ts';
import { publishEvent } from './publish-event.ts';
import type { SignedHandler } from './signed-route.ts';

/**
 * `POST /apps/{id}/channels/{channel}/events`, which old SDKs use: `name` and `socket_id` stand in the query, the
 * body is the data.
 */
export function publishToChannel({
  publisher,
  limits,
}: Pick<EventParts, 'publisher' | 'limits'>): SignedHandler {
  return async ({ app, params, query, body }) => {
    if (!isUtf8(body)) throw new RefusalError('bad_body');
    const event = parseEvent(
      {
        name: query.get('name'),
        channel: params.channel,
        socket_id: query.get('socket_id'),
        data: body.toString(),
      },
      limits,
    );
    await publishEvent(publisher, app, event);
    return '{}';
  };
}
