import type { CommandHandler } from '../command.ts';
import { PONG } from '../messages.ts';

/** `pusher:ping`: answered at once. */
export const ping: CommandHandler = ({ reply }, connection) => {
  reply(connection, PONG);
  return undefined;
};

/** `pusher:pong`: a sign of life, like every message. */
export const pong: CommandHandler = () => undefined;
