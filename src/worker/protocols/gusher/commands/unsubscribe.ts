import { stringOf } from '../../../../shared/json/raw-json.ts';
import type { CommandHandler } from '../command.ts';
import { type Members, refusalText, successText } from '../replies.ts';

/** `gusher.unsubscribe` `{"channel"}`; succeeds also for a channel that was not subscribed to. */
export const unsubscribe: CommandHandler = ({ hub, reply }, connection, command) => {
  const channel = stringOf(command.fields.get('channel'));
  if (channel === undefined) return 'bad_command';
  const members: Members = [['channel', JSON.stringify(channel)]];
  if (!connection.grants.allows(channel)) {
    reply(connection, refusalText(connection, command, members, 'not_granted'));
    return undefined;
  }
  hub.unsubscribe(connection, channel);
  reply(connection, successText(connection, command, members));
  return undefined;
};
