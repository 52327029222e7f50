import type { Connection } from '../../connection.ts';
import type { Command } from './command.ts';
import type { Context } from './context.ts';

/**
 * `gusher.ping`: answered by `gusher.pong_succeeded` with `data` as it was sent and the time in unix seconds.
 * (Upstream's code answers under another name and in base64; this is what its documents promise.)
 */
export function ping({ reply, now }: Context, connection: Connection, command: Command): void {
  const id = command.outerId === undefined ? '' : `"id":${command.outerId},`;
  const time = Math.floor(now() / 1_000);
  reply(
    connection,
    `{"event":"gusher.pong_succeeded",${id}"socket_id":"${connection.id}","data":${command.data ?? 'null'},"time":${time}}`,
  );
}
