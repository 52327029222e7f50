import { GusherError } from '../../../../shared/errors/catalogue.ts';
import { stringOf } from '../../../../shared/json/raw-json.ts';
import type { CommandHandler } from '../command.ts';
import { errorText } from '../replies.ts';

/** An event of a client for the others in a channel begins so. */
export const CLIENT_EVENT_PREFIX = 'client-';

/**
 * `client-…` `{"channel", "data"}` beside `event`: goes to the others in the channel. It is not answered unless it is
 * refused, as gusher-js and the Pusher protocol have it.
 */
export const clientEvent: CommandHandler = (context, connection, command) => {
  const channel = stringOf(command.channel);
  if (channel === undefined || command.event === undefined) return 'bad_command';
  const { publishFromClient, reply } = context;
  const publication = { channel, event: command.event, data: command.data ?? 'null' };
  return publishFromClient(connection, publication).catch((error: unknown) => {
    if (!(error instanceof GusherError)) throw error;
    reply(connection, errorText(connection, command, error.code));
  });
};
