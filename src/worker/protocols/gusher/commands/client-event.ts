import { GusherError } from '../../../../shared/errors/catalogue.ts';
import { stringOf } from '../../../../shared/json/raw-json.ts';
import type { CommandHandler } from '../command.ts';
import { errorText } from '../replies.ts';

/** The prefix of events that clients send to each other. */
export const CLIENT_EVENT_PREFIX = 'client-';

/**
 * `client-…` with `channel` and `data` beside `event`: publishes the event to the other subscribers. Only errors are
 * answered, as in gusher-js and the Pusher protocol.
 */
export const clientEvent: CommandHandler = (context, connection, command) => {
  const channel = stringOf(command.channel);
  if (channel === undefined || command.event === undefined) return 'bad_command';
  const { publishFromClient, reply } = context;
  const publication = { channel, event: command.event, data: command.data ?? 'null' };
  return publishFromClient(connection, publication).catch((error: unknown) => {
    if (!(error instanceof GusherError)) throw error;
    reply(connection, errorText(connection, command, error.code), error.code);
  });
};
