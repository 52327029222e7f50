import type { Publisher } from '../../broker/publisher.ts';
import { type EventLimits, parseEvent } from './event.ts';
import { askOccupancy, type Roster } from './occupancy.ts';
import { publishEvent } from './publish-event.ts';
import type { Query } from './signature.ts';
import { jsonOf, type SignedHandler } from './signed-route.ts';

export interface EventParts {
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly roster: Roster;
  readonly limits: EventLimits;
}

/**
 * `POST /apps/{id}/events`: publishes one event to some channels. Answers `{}`, or with `info` the counts of
 * each channel. Parameters may stand in the query too; the body is the stronger.
 */
export function publishEvents({ publisher, roster, limits }: EventParts): SignedHandler {
  return async ({ app, query, body }) => {
    const event = parseEvent({ ...fieldsOf(query), ...(body.length > 0 && jsonOf(body)) }, limits);
    await publishEvent(publisher, app, event);
    if (event.info.size === 0) return '{}';
    const channels = event.channels.map(async (channel) => {
      return [channel, await askOccupancy(roster, app.key, channel, event.info)] as const;
    });
    return JSON.stringify({ channels: Object.fromEntries(await Promise.all(channels)) });
  };
}

/** What of an event the query says. */
function fieldsOf(query: Query): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const name of ['name', 'data', 'channel', 'socket_id', 'info']) {
    const value = query.get(name);
    if (value !== undefined) fields[name] = value;
  }
  const channels = query.get('channels');
  return channels === undefined ? fields : { ...fields, channels: channels.split(',') };
}
