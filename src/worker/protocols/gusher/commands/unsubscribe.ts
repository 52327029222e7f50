import type { RefusalCode } from '../../../../shared/errors/catalogue.ts';
import { stringOf } from '../../../../shared/json/raw-json.ts';
import { isChannelName } from '../../../../shared/model/names.ts';
import type { Connection } from '../../../connection/connection.ts';
import type { CommandHandler } from '../command.ts';
import { type Members, refusalText, successText } from '../replies.ts';

/** `gusher.unsubscribe` `{"channel"}`; succeeds also for a channel that was not subscribed to. */
export const unsubscribe: CommandHandler = ({ hub, reply }, connection, command) => {
  const channel = stringOf(command.fields.get('channel'));
  if (channel === undefined) return 'bad_command';
  const members: Members = [['channel', JSON.stringify(channel)]];
  const refused = refusalOf(connection, channel);
  if (refused !== undefined) {
    reply(connection, refusalText(connection, command, members, refused));
    return undefined;
  }
  hub.unsubscribe(connection, channel);
  reply(connection, successText(connection, command, members));
  return undefined;
};

function refusalOf({ grants }: Connection, channel: string): RefusalCode | undefined {
  if (!isChannelName(channel)) return 'bad_channel';
  return grants.allows(channel) ? undefined : 'not_granted';
}
