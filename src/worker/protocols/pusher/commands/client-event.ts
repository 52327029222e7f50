import { isName } from '../../../../shared/model/names.ts';
import {
  isEncryptedChannel,
  isPresenceChannel,
  isPusherChannel,
} from '../../../../shared/model/pusher-channel.ts';
import type { CommandHandler } from '../command.ts';

const EVENT_NAME_MAX_LENGTH = 200;

/**
 * `client-…` with `channel` and `data`: publishes the event to the other subscribers, with the JSON text of `data`. In a
 * presence channel it carries the member id of the sender. Only errors are answered.
 */
export const clientEvent: CommandHandler = (
  { publishFromClient, limits },
  connection,
  { event, channel = '', data = 'null' },
) => {
  if (!isName(event, EVENT_NAME_MAX_LENGTH)) return 'bad_event';
  if (!isPusherChannel(channel)) return 'bad_pusher_channel';
  if (!allowsClientEvents(channel)) return 'client_events_not_supported';
  if (Buffer.byteLength(data) > limits.clientEventMaxBytes) return 'event_too_large';
  return publishFromClient(connection, { channel, event, data }).then(() => undefined);
};

function allowsClientEvents(channel: string): boolean {
  if (isEncryptedChannel(channel)) return false;
  return channel.startsWith('private-') || isPresenceChannel(channel);
}
