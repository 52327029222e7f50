import type { CommandHandler } from '../command.ts';
import { PONG } from '../messages.ts';

/** `pusher:ping`: answered with `pusher:pong`. */
export const ping: CommandHandler = ({ reply }, connection) => {
  reply(connection, PONG);
  return undefined;
};

/** `pusher:pong`: needs no action, because every message counts as traffic. */
export const pong: CommandHandler = () => undefined;
