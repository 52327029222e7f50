import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { REFUSALS } from '../../shared/errors/catalogue.ts';
import { httpRefusal } from '../../shared/errors/http-error.ts';
import type { ChannelMessage } from '../../shared/ipc/messages.ts';
import type { SocketReport } from '../ipc/socket-reporter.ts';
import type { Router } from './http/router.ts';

const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than the idle time-outs of common proxies, which then are the ones to close. */
const KEEP_ALIVE_MS = 65_000;

/** How often, while closing, it is looked for requests that have finished. */
const CLOSE_LOOK_MS = 20;

export interface ApiParts {
  readonly requests: Pick<Router, 'serve'>;
  readonly sockets: Pick<SocketReport, 'taken'>;
}

/**
 * Serves the sockets of the API port that the primary gives to this worker; it never listens itself. Knows
 * nothing of what is asked there.
 */
export class ApiServer {
  readonly #parts: ApiParts;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(parts: ApiParts) {
    this.#parts = parts;
    this.#server = createServer({
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Node would refuse without a word; the routes say why.
      requireHostHeader: false,
    });
    this.#server.on('request', parts.requests.serve);
    this.#server.on('checkContinue', parts.requests.serve);
    this.#server.on('checkExpectation', parts.requests.serve);
    this.#server.on('connect', onConnectMethod);
    this.#server.on('clientError', onClientError);
  }

  /** Begins to take sockets. */
  open(): void {
    // Node starts to look after its time-outs when a server begins to listen, which this one never does.
    this.#server.emit('listening');
    process.on('message', this.#onMessage);
  }

  /** Takes no more sockets and lets requests in flight finish; after the deadline they are cut. */
  async close(deadlineMs: number): Promise<void> {
    const until = performance.now() + deadlineMs;
    process.off('message', this.#onMessage);
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
    this.#server.closeIdleConnections();
    while (this.#sockets.size > 0 && performance.now() < until) {
      await pause(CLOSE_LOOK_MS);
      this.#server.closeIdleConnections();
    }
    this.#server.closeAllConnections();
    this.#server.close();
  }

  readonly #onMessage = (message: ChannelMessage, socket: Socket | undefined): void => {
    if (message.type !== 'api:connection') return;
    this.#parts.sockets.taken(message.ticket);
    // The socket may have died on the way.
    if (socket === undefined) return;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#server.emit('connection', socket);
  };
}

/** `CONNECT`: this is no proxy. */
function onConnectMethod(_request: unknown, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  socket.end(httpRefusal(REFUSALS.method_not_allowed));
}

function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal = error.code === 'HPE_HEADER_OVERFLOW' ? REFUSALS.head_too_large : REFUSALS.bad_request;
  socket.end(httpRefusal(refusal), () => socket.destroy());
}
