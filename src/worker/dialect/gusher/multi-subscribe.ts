import type { CommandHandler } from '../../protocols/gusher/command.ts';
import { type Members, refusalText } from '../../protocols/gusher/replies.ts';
import { join } from './join.ts';

/**
 * `gusher.multi_subscribe` `{"multi_channel": [...]}`: all or nothing. Upstream's documents name the list
 * `multi_channel` in the reply, its code `channel`, and gusher-js reads `channel`: the reply has both.
 */
export const multiSubscribe: CommandHandler = (context, connection, command) => {
  const channels = listOf(command.fields.get('multi_channel'));
  if (channels === undefined) return 'bad_command';
  const json = JSON.stringify(channels);
  const members: Members = [
    ['channel', json],
    ['multi_channel', json],
  ];
  if (channels.length > 0) return join(context, connection, command, [...new Set(channels)], members);
  // Upstream answers an empty list, and none, under the command's own name.
  context.reply(connection, refusalText(connection, command, members, 'bad_command'));
  return undefined;
};

/** `undefined` if the text is no list of strings; no text is an empty list. */
function listOf(raw = '[]'): string[] | undefined {
  const list: unknown = JSON.parse(raw);
  return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
}
