import type { RefusalCode } from '../../../shared/errors.ts';
import { stringOf } from '../../../shared/raw-json.ts';
import { isChannelName } from '../../../shared/topic.ts';
import type { Connection } from '../../connection.ts';
import type { Command } from './command.ts';
import type { Context } from './context.ts';
import { refusalText, replyText } from './reply.ts';

/** `gusher.subscribe` `{"channel"}`; subscribing twice succeeds. */
export function subscribe(
  context: Context,
  connection: Connection,
  command: Command,
): Promise<void> | undefined {
  const channel = stringOf(command.fields.get('channel')) ?? '';
  const members = [['channel', JSON.stringify(channel)]] as const;
  const refused = refusalOf(context, connection, channel);
  if (refused !== undefined) {
    context.reply(connection, refusalText(connection, 'gusher.subscribe_error', command, members, refused));
    return undefined;
  }
  const joining = context.hub.subscribe(connection, channel);
  const answer = (): void =>
    context.reply(connection, replyText(connection, 'gusher.subscribe_succeeded', command, members));
  if (joining !== undefined) return joining.then(answer);
  answer();
  return undefined;
}

function refusalOf(
  { hub, subscriptionsMax }: Context,
  connection: Connection,
  channel: string,
): RefusalCode | undefined {
  if (!isChannelName(channel)) return 'bad_channel';
  if (!connection.grants.allows(channel)) return 'not_granted';
  const full = connection.audiences.length >= subscriptionsMax;
  return full && !hub.isSubscribed(connection, channel) ? 'too_many_subscriptions' : undefined;
}
