import type { Socket } from 'node:net';
import { type ErrorBody, errorBody } from '../../shared/errors/http-error.ts';
import { destroyOnError } from '../../shared/http/destroy-on-error.ts';

/** A socket that no worker has accepted yet. */
export interface PendingSocket {
  readonly socket: Socket;
  /** The listener that accepted it. */
  readonly port: 'public' | 'api';
  /** All received bytes. On the public port: the request head, and what arrived in the same segment. */
  data: Buffer;
  /** The `sid=` of its request target: the id of an earlier connection, whose worker the client asks for. */
  sid: string | undefined;
  /** The client address under which its connection counts; `undefined` if it does not count. */
  addressGroup: string | undefined;
  /** The format of its errors, which depends on the requested path. */
  errorBody: ErrorBody;
  /** When it was accepted, in ms of `performance.now()`. */
  readonly arrivedAt: number;
}

/** From now on an error of the socket destroys it and has no other effect. */
export function createPendingSocket(socket: Socket, port: PendingSocket['port']): PendingSocket {
  destroyOnError(socket);
  return {
    socket,
    port,
    data: Buffer.alloc(0),
    sid: undefined,
    addressGroup: undefined,
    errorBody,
    arrivedAt: performance.now(),
  };
}
