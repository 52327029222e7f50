import { RefusalError } from '../../../shared/errors/catalogue.ts';
import { parseEvent } from './event.ts';
import { askOccupancy } from './occupancy.ts';
import type { EventParts } from './publish.ts';
import { publishEvent } from './publish-event.ts';
import { jsonOf, type SignedHandler } from './signed-route.ts';

/**
 * `POST /apps/{id}/batch_events`: publishes some events, each to one channel, in their order; all of them or,
 * if one is not as it should be, none. Answers `{}`, or, if any has `info`, `{"batch":[…]}` with a member for
 * each event, in their order.
 */
export function publishBatch(parts: EventParts & { batchMaxEvents: number }): SignedHandler {
  const { publisher, roster, batchMaxEvents } = parts;
  const limits = { ...parts.limits, channelsMax: 1 };
  return async ({ app, body }) => {
    const { batch } = jsonOf(body);
    if (!Array.isArray(batch) || batch.length === 0 || batch.length > batchMaxEvents) {
      throw new RefusalError('bad_batch');
    }
    const events = batch.map((raw) => parseEvent(raw, limits));
    await Promise.all(events.map((event) => publishEvent(publisher, app, event)));
    if (events.every(({ info }) => info.size === 0)) return '{}';
    const infos = events.map(({ channels: [channel = ''], info }) =>
      info.size === 0 ? {} : askOccupancy(roster, app.key, channel, info),
    );
    return JSON.stringify({ batch: await Promise.all(infos) });
  };
}
