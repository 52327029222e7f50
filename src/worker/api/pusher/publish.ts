import { isUtf8 } from 'node:buffer';
import type { App } from '../../../shared/apps/app.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { publicationOfText } from '../../../shared/model/publication.ts';
import type { ChannelPublisher } from '../../broker/publisher.ts';
import type { PresenceQueries } from '../../ipc/presence-client.ts';
import type { PublishSpan } from '../../tracing/tracer.ts';
import { mapBatch } from '../publish/map-batch.ts';
import { allPublished } from '../publish/publish-many.ts';
import { withTraceOf } from '../publish/traced-request.ts';
import { type EventLimits, type PusherEvent, parseEvent } from './event.ts';
import { fetchOccupancy } from './occupancy.ts';
import type { Query } from './signature.ts';
import { parseObject, type SignedHandler } from './signed-route.ts';

export interface EventDependencies {
  readonly publisher: ChannelPublisher;
  readonly presence: PresenceQueries;
  readonly limits: EventLimits;
}

/**
 * `POST /apps/{id}/events`: publishes one event to one or more channels. Returns `{}`, or with `info` the attributes of
 * each channel. The body overrides parameters in the query.
 */
export function publishEvents({ publisher, presence, limits }: EventDependencies): SignedHandler {
  return async ({ app, query, body, span }) => {
    const event = parseEvent({ ...fieldsOf(query), ...(body.length > 0 && parseObject(body)) }, limits);
    await publisher.admit(app, event.channels.length);
    await publishEvent(publisher, app, event, span);
    if (event.info.size === 0) return '{}';
    const channels = event.channels.map(async (channel) => {
      return [channel, await fetchOccupancy(presence, app.key, channel, event.info)] as const;
    });
    return JSON.stringify({ channels: Object.fromEntries(await Promise.all(channels)) });
  };
}

/** Returns the fields of an event in the query. */
function fieldsOf(query: Query): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const name of ['name', 'data', 'channel', 'socket_id', 'info']) {
    const value = query.get(name);
    if (value !== undefined) fields[name] = value;
  }
  const channels = query.get('channels');
  return channels === undefined ? fields : { ...fields, channels: channels.split(',') };
}

/** Publishes an event to all of its channels. Rejects with `broker_unavailable` or `broker_busy`. */
async function publishEvent(
  publisher: ChannelPublisher,
  app: App,
  { name, channels, data, socketId }: PusherEvent,
  span: PublishSpan | undefined,
): Promise<void> {
  const publications = channels.map((channel) =>
    withTraceOf(publicationOfText(channel, name, data, socketId), span),
  );
  for (const publication of publications) publisher.check(publication);
  await allPublished(publications.map((publication) => publisher.publish(app.key, publication)));
}

/**
 * `POST /apps/{id}/batch_events`: publishes events in order, each to one channel, or none if one is invalid; the error then
 * has its `index`. Returns `{}`, or `{"batch":[…]}` with one object per event if any event has `info`.
 */
export function publishBatch(dependencies: EventDependencies & { batchMaxEvents: number }): SignedHandler {
  const { publisher, presence, batchMaxEvents } = dependencies;
  const limits = { ...dependencies.limits, channelsMax: 1 };
  return async ({ app, body, span }) => {
    const { batch } = parseObject(body);
    if (!Array.isArray(batch) || batch.length === 0 || batch.length > batchMaxEvents) {
      throw new GusherError('bad_batch');
    }
    const events = mapBatch(batch as unknown[], (item) => {
      const event = parseEvent(item, limits);
      publisher.check(publicationOfText('', event.name, event.data));
      return event;
    });
    await publisher.admit(app, events.length);
    await allPublished(events.map((event) => publishEvent(publisher, app, event, span)));
    if (events.every(({ info }) => info.size === 0)) return '{}';
    const infos = events.map(({ channels: [channel = ''], info }) =>
      info.size === 0 ? {} : fetchOccupancy(presence, app.key, channel, info),
    );
    return JSON.stringify({ batch: await Promise.all(infos) });
  };
}

/**
 * `POST /apps/{id}/channels/{channel}/events`, for old SDKs: `name` and `socket_id` are in the query, and the body is the
 * data.
 */
export function publishToChannel({
  publisher,
  limits,
}: Pick<EventDependencies, 'publisher' | 'limits'>): SignedHandler {
  return async ({ app, params, query, body, span }) => {
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
    await publisher.admit(app, event.channels.length);
    await publishEvent(publisher, app, event, span);
    return '{}';
  };
}
