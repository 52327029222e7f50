import { GusherError } from '../../../../shared/errors/catalogue.ts';
import { stringOf } from '../../../../shared/json/raw-json.ts';
import type { CommandHandler } from '../command.ts';
import { commandErrorText, type Members, successText } from '../replies.ts';

/**
 * `gusher.remote` `{"remote", "uid", "payload"}`: sends a command to the backend of the app. Always answered; upstream
 * answers only under `debug`. `msg` is null, like upstream.
 */
export const remote: CommandHandler = ({ callRemote, reply }, connection, command) => {
  const name = stringOf(command.fields.get('remote'));
  const uid = stringOf(command.fields.get('uid'));
  const payload = command.fields.get('payload');
  if (name === undefined || uid === undefined || payload === undefined) return 'bad_command';
  const members: Members = [
    ['remote', JSON.stringify(name)],
    ['msg', 'null'],
  ];
  return callRemote(connection, { name, uid, payload }).then(
    () => reply(connection, successText(connection, command, members)),
    (error: unknown) => {
      if (!(error instanceof GusherError)) throw error;
      reply(connection, commandErrorText(connection, command, members, error.code), error.code);
    },
  );
};
