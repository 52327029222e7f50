import type { Socket } from 'node:net';
import { type ErrorBody, errorBody } from '../../shared/errors/http-error.ts';

/** A socket on its way from a port of the primary to a worker. */
export interface PendingSocket {
  readonly socket: Socket;
  /** The port it came to: the public one, or that of the API. */
  readonly port: 'public' | 'api';
  /** Everything it has sent: on the public port the request head and whatever came in the same segment. */
  data: Buffer;
  /** The id after `sid=` in its request target, by which it asks for the worker it was with before. */
  sid: string | undefined;
  /** The form of the errors that it is sent: that of the path which it asks for. */
  errorBody: ErrorBody;
  /** When it connected, in ms of `performance.now()`. */
  readonly arrivedAt: number;
}

/** From this moment an error ends the socket, and nothing else. */
export function createPendingSocket(socket: Socket, port: PendingSocket['port']): PendingSocket {
  socket.on('error', destroySocket);
  return {
    socket,
    port,
    data: Buffer.alloc(0),
    sid: undefined,
    errorBody,
    arrivedAt: performance.now(),
  };
}

function destroySocket(this: Socket): void {
  this.destroy();
}
