import type { CommandHandler } from '../command.ts';
import { pongText } from '../replies.ts';

/**
 * `gusher.ping`: answered with `gusher.pong_succeeded`, the `data` of the client, and the time in Unix seconds. This is
 * what the documents of upstream promise; its code answers in base64 under another name.
 */
export const ping: CommandHandler = ({ reply, now }, connection, command) => {
  reply(connection, pongText(connection, command, Math.floor(now() / 1_000)));
  return undefined;
};
