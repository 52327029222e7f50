import type { CommandHandler } from '../command.ts';
import { pongText } from '../replies.ts';

/**
 * `gusher.ping`: answered by `gusher.pong_succeeded` with `data` as it was sent and the time in unix seconds.
 * (Upstream's code answers under another name and in base64; this is what its documents promise.)
 */
export const ping: CommandHandler = ({ reply, now }, connection, command) => {
  reply(connection, pongText(connection, command, Math.floor(now() / 1_000)));
  return undefined;
};
