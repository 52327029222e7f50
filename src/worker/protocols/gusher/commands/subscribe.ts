import { stringOf } from '../../../../shared/json/raw-json.ts';
import { join } from '../../../dialect/gusher/join.ts';
import type { CommandHandler } from '../command.ts';

/** `gusher.subscribe` `{"channel"}`; subscribing twice succeeds. */
export const subscribe: CommandHandler = (context, connection, command) => {
  const channel = stringOf(command.fields.get('channel'));
  if (channel === undefined) return 'bad_command';
  return join(context, connection, command, [channel], [['channel', JSON.stringify(channel)]]);
};
