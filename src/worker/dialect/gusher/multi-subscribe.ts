import type { RefusalCode } from '../../../shared/errors.ts';
import { isChannelName } from '../../../shared/topic.ts';
import type { Connection } from '../../connection.ts';
import type { Command } from './command.ts';
import type { Context } from './context.ts';
import { refusalText, replyText } from './reply.ts';

/**
 * `gusher.multi_subscribe` `{"multi_channel": [...]}`: all or nothing. Upstream's documents name the list
 * `multi_channel` in the reply, its code `channel`, and gusher-js reads `channel`: the reply has both.
 */
export function multiSubscribe(
  context: Context,
  connection: Connection,
  command: Command,
  channels: readonly string[],
): Promise<void> | undefined {
  const list = JSON.stringify(channels);
  const members = [
    ['channel', list],
    ['multi_channel', list],
  ] as const;
  const refused = refusalOf(context, connection, channels);
  if (refused !== undefined) {
    context.reply(
      connection,
      refusalText(connection, 'gusher.multi_subscribe_error', command, members, refused),
    );
    return undefined;
  }
  const joining = channels.map((channel) => context.hub.subscribe(connection, channel));
  const answer = (): void =>
    context.reply(connection, replyText(connection, 'gusher.multi_subscribe_succeeded', command, members));
  if (joining.some((promise) => promise !== undefined)) return Promise.all(joining).then(answer);
  answer();
  return undefined;
}

function refusalOf(
  { hub, subscriptionsMax }: Context,
  connection: Connection,
  channels: readonly string[],
): RefusalCode | undefined {
  if (channels.length === 0) return 'bad_command';
  if (!channels.every(isChannelName)) return 'bad_channel';
  if (!channels.every((channel) => connection.grants.allows(channel))) return 'not_granted';
  const fresh = new Set(channels.filter((channel) => !hub.isSubscribed(connection, channel)));
  const full = connection.audiences.length + fresh.size > subscriptionsMax;
  return full ? 'too_many_subscriptions' : undefined;
}
