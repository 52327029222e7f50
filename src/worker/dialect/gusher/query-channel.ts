import type { Connection } from '../../connection.ts';
import type { Command } from './command.ts';
import type { Context } from './context.ts';
import { replyText } from './reply.ts';

/** `gusher.querychannel`: the grants of this connection, as upstream answers; not its subscriptions. */
export function queryChannel({ reply }: Context, connection: Connection, command: Command): void {
  const members = [['channels', JSON.stringify(connection.grants.list)]] as const;
  reply(connection, replyText(connection, 'gusher.querychannel_succeeded', command, members));
}
