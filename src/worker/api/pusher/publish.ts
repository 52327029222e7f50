import { isUtf8 } from 'node:buffer';
import type { App } from '../../../shared/apps/app.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { publicationOfText } from '../../../shared/model/publication.ts';
import type { Publisher } from '../../broker/publisher.ts';
import { allPublished } from '../publish/publish-many.ts';
import { type EventLimits, type PusherEvent, parseEvent } from './event.ts';
import { fetchOccupancy, type PresenceQueries } from './occupancy.ts';
import type { Query } from './signature.ts';
import { jsonOf, type SignedHandler } from './signed-route.ts';

export interface EventDependencies {
  readonly publisher: Pick<Publisher, 'publish' | 'check'>;
  readonly presence: PresenceQueries;
  readonly limits: EventLimits;
}

/**
 * `POST /apps/{id}/events`: publishes one event to some channels. Answers `{}`, or with `info` the counts of
 * each channel. Parameters may stand in the query too; the body is the stronger.
 */
export function publishEvents({ publisher, presence, limits }: EventDependencies): SignedHandler {
  return async ({ app, query, body }) => {
    const event = parseEvent({ ...fieldsOf(query), ...(body.length > 0 && jsonOf(body)) }, limits);
    await publishEvent(publisher, app, event);
    if (event.info.size === 0) return '{}';
    const channels = event.channels.map(async (channel) => {
      return [channel, await fetchOccupancy(presence, app.key, channel, event.info)] as const;
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

/** Publishes an event to each of its channels. Rejects with `broker_unavailable` or `broker_busy`. */
export async function publishEvent(
  publisher: Pick<Publisher, 'publish' | 'check'>,
  app: App,
  { name, channels, data, socketId }: PusherEvent,
): Promise<void> {
  const publications = channels.map((channel) => publicationOfText(channel, name, data, socketId));
  for (const publication of publications) publisher.check(publication);
  await allPublished(publications.map((publication) => publisher.publish(app.key, publication)));
}

/**
 * `POST /apps/{id}/batch_events`: publishes some events, each to one channel, in their order; all of them or,
 * if one is not as it should be, none. Answers `{}`, or, if any has `info`, `{"batch":[…]}` with a member for
 * each event, in their order.
 */
export function publishBatch(dependencies: EventDependencies & { batchMaxEvents: number }): SignedHandler {
  const { publisher, presence, batchMaxEvents } = dependencies;
  const limits = { ...dependencies.limits, channelsMax: 1 };
  return async ({ app, body }) => {
    const { batch } = jsonOf(body);
    if (!Array.isArray(batch) || batch.length === 0 || batch.length > batchMaxEvents) {
      throw new GusherError('bad_batch');
    }
    const events = batch.map((raw) => parseEvent(raw, limits));
    for (const { data, name } of events) publisher.check(publicationOfText('', name, data));
    await allPublished(events.map((event) => publishEvent(publisher, app, event)));
    if (events.every(({ info }) => info.size === 0)) return '{}';
    const infos = events.map(({ channels: [channel = ''], info }) =>
      info.size === 0 ? {} : fetchOccupancy(presence, app.key, channel, info),
    );
    return JSON.stringify({ batch: await Promise.all(infos) });
  };
}

/**
 * `POST /apps/{id}/channels/{channel}/events`, which old SDKs use: `name` and `socket_id` stand in the query, the
 * body is the data.
 */
export function publishToChannel({
  publisher,
  limits,
}: Pick<EventDependencies, 'publisher' | 'limits'>): SignedHandler {
  return async ({ app, params, query, body }) => {
    if (!isUtf8(body)) throw new GusherError('bad_body');
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
