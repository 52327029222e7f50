import { isPusherChannel } from '../../../../shared/model/pusher-channel.ts';
import { type CommandHandler, fieldsOf } from '../command.ts';

/** `pusher:unsubscribe` `{"channel"}`: has no reply, and succeeds without a subscription too. */
export const unsubscribe: CommandHandler = ({ hub }, connection, command) => {
  const { channel } = fieldsOf(command);
  if (typeof channel !== 'string') return 'bad_command';
  if (!isPusherChannel(channel)) return 'bad_pusher_channel';
  hub.unsubscribe(connection, channel);
  return undefined;
};
