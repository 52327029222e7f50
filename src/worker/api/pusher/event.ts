import * as v from 'valibot';
import { invalidFieldsIn } from '../../../shared/apps/app.ts';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { isName } from '../../../shared/model/names.ts';
import { isEncryptedChannel, isPusherChannel } from '../../../shared/model/pusher-channel.ts';
import { type Attribute, attributesOf } from './occupancy.ts';

export const EVENT_NAME_MAX_LENGTH = 200;
/** The form of the ids in `connection_established`. */
export const SOCKET_ID = /^\d{1,20}\.\d{1,20}$/;

/** One event as an SDK sends it. */
export interface PusherEvent {
  readonly name: string;
  readonly channels: readonly string[];
  /** The text that the publisher sent; SDKs send JSON text. */
  readonly data: string;
  /** The connection that does not receive the event. */
  readonly socketId: string | undefined;
  readonly info: ReadonlySet<Attribute>;
}

export interface EventLimits {
  readonly dataMaxBytes: number;
  readonly channelsMax: number;
}

const optionalText = v.optional(v.nullable(v.string()));

const fields = v.object({
  name: v.string(),
  data: v.string(),
  channel: optionalText,
  channels: v.optional(v.nullable(v.array(v.string()))),
  socket_id: optionalText,
  info: optionalText,
});

/** Validates one event. Throws a `GusherError`. */
export function parseEvent(raw: unknown, { dataMaxBytes, channelsMax }: EventLimits): PusherEvent {
  const parsed = v.safeParse(fields, raw);
  if (!parsed.success) {
    const detail = `Invalid: ${invalidFieldsIn(parsed.issues).join(', ')}.`;
    throw new GusherError('bad_pusher_event', { detail });
  }
  const { name, data, channel, channels: several, socket_id: socketId, info } = parsed.output;
  if (!isName(name, EVENT_NAME_MAX_LENGTH)) throw new GusherError('bad_event');
  if (Buffer.byteLength(data) > dataMaxBytes) {
    const detail = `The limit is ${dataMaxBytes} bytes (GUSHER_PUSHER_EVENT_MAX_BYTES).`;
    throw new GusherError('event_too_large', { detail });
  }
  const channels = [...new Set(several ?? (typeof channel === 'string' ? [channel] : []))];
  if (channels.length === 0) throw new GusherError('bad_pusher_event');
  if (channels.length > channelsMax) throw new GusherError('too_many_event_channels');
  if (!channels.every(isPusherChannel)) throw new GusherError('bad_pusher_channel');
  // Each encrypted channel has its own key: no other channel could decrypt the event.
  if (channels.length > 1 && channels.some(isEncryptedChannel))
    throw new GusherError('encrypted_channel_not_alone');
  if (typeof socketId === 'string' && !SOCKET_ID.test(socketId)) throw new GusherError('bad_pusher_socket');
  return { name, channels, data, socketId: socketId ?? undefined, info: attributesOf(info) };
}
