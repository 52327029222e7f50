import type { ErrorCode } from '../../../../shared/errors/catalogue.ts';
import { stringOf } from '../../../../shared/json/raw-json.ts';
import { isChannelName } from '../../../../shared/model/names.ts';
import type { Connection } from '../../../connection/connection.ts';
import type { CommandHandler } from '../command.ts';
import { commandErrorText, type Members, successText } from '../replies.ts';

/** `gusher.unsubscribe` `{"channel"}`: succeeds without a subscription too. */
export const unsubscribe: CommandHandler = ({ hub, reply }, connection, command) => {
  const channel = stringOf(command.fields.get('channel'));
  if (channel === undefined) return 'bad_command';
  const members: Members = [['channel', JSON.stringify(channel)]];
  const errorCode = subscriptionError(connection, channel);
  if (errorCode !== undefined) {
    reply(connection, commandErrorText(connection, command, members, errorCode), errorCode);
    return undefined;
  }
  hub.unsubscribe(connection, channel);
  reply(connection, successText(connection, command, members));
  return undefined;
};

function subscriptionError({ grants }: Connection, channel: string): ErrorCode | undefined {
  if (!isChannelName(channel)) return 'bad_channel';
  return grants.allows(channel) ? undefined : 'not_granted';
}
