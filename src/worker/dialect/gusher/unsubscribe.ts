import { stringOf } from '../../../shared/raw-json.ts';
import type { Connection } from '../../connection.ts';
import type { Command } from './command.ts';
import type { Context } from './context.ts';
import { refusalText, replyText } from './reply.ts';

/** `gusher.unsubscribe` `{"channel"}`; succeeds also for a channel that was not subscribed to. */
export function unsubscribe({ hub, reply }: Context, connection: Connection, command: Command): void {
  const channel = stringOf(command.fields.get('channel')) ?? '';
  const members = [['channel', JSON.stringify(channel)]] as const;
  if (!connection.grants.allows(channel)) {
    reply(connection, refusalText(connection, 'gusher.unsubscribe_error', command, members, 'not_granted'));
    return;
  }
  hub.unsubscribe(connection, channel);
  reply(connection, replyText(connection, 'gusher.unsubscribe_succeeded', command, members));
}
