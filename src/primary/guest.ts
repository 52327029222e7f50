import type { Socket } from 'node:net';

/** A socket on its way from the front door to a worker. */
export interface Guest {
  readonly socket: Socket;
  /** Everything it has sent: the request head, and whatever came in the same segment. */
  data: Buffer;
  /** The id after `sid=` in its request target, by which it asks for the worker it was with before. */
  sid: string | undefined;
  /** When it connected, in ms of `performance.now()`. */
  readonly arrivedAt: number;
}
