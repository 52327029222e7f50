import type { CommandHandler } from '../command.ts';
import { successText } from '../replies.ts';

/** `gusher.querychannel`: answers the grants of the connection, not its subscriptions, like upstream. */
export const queryChannel: CommandHandler = ({ reply }, connection, command) => {
  reply(connection, successText(connection, command, [['channels', JSON.stringify(connection.grants.list)]]));
  return undefined;
};
