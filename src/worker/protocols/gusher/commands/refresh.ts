import { GusherError } from '../../../../shared/errors/catalogue.ts';
import { stringOf } from '../../../../shared/json/raw-json.ts';
import type { CommandHandler } from '../command.ts';
import { commandErrorText, successText } from '../replies.ts';

/**
 * `gusher.refresh` `{"token"}`: replaces the token of the connection by a new one of the same user. Subscriptions that
 * the new token does not grant end. The reply lists the grants.
 */
export const refresh: CommandHandler = (context, connection, command) => {
  const token = stringOf(command.fields.get('token'));
  if (token === undefined) return 'bad_command';
  const { authorizationRejected, refreshToken, reply } = context;
  return refreshToken(connection, token).then(
    () =>
      reply(
        connection,
        successText(connection, command, [['channels', JSON.stringify(connection.grants.list)]]),
      ),
    (error: unknown) => {
      if (!(error instanceof GusherError)) throw error;
      authorizationRejected(connection, error.entry);
      reply(connection, commandErrorText(connection, command, [], error.code), error.code);
    },
  );
};
