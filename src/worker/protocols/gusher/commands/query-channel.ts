import type { CommandHandler } from '../command.ts';
import { successText } from '../replies.ts';

/** `gusher.querychannel`: the grants of this connection, as upstream answers; not its subscriptions. */
export const queryChannel: CommandHandler = ({ reply }, connection, command) => {
  reply(connection, successText(connection, command, [['channels', JSON.stringify(connection.grants.list)]]));
  return undefined;
};
