import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { formatAddress } from '../../shared/address.ts';
import type { Settings } from '../../shared/config.ts';
import { REFUSALS } from '../../shared/errors.ts';
import { httpRefusal } from '../../shared/http-refusal.ts';
import type { Logger } from '../../shared/log.ts';
import type { Router } from './router.ts';

const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than the idle time-outs of common proxies, which then are the ones to close. */
const KEEP_ALIVE_MS = 65_000;

export interface ApiParts {
  readonly settings: Pick<Settings, 'apiListen'>;
  readonly requests: Pick<Router, 'serve'>;
  readonly log: Logger;
}

/**
 * The API port of this worker; Node shares the port among all of them. Knows nothing of what is asked there.
 */
export class ApiServer {
  readonly #parts: ApiParts;
  readonly #server: Server;

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

  /** Opens the port; resolves with its number, rejects with a sentence if it cannot be had. */
  async open(): Promise<number> {
    const { host, port } = this.#parts.settings.apiListen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, ...(host !== undefined && { host }) }, resolve);
    }).catch((error: NodeJS.ErrnoException) => {
      throw new Error(`cannot listen on ${formatAddress({ host, port })} (GUSHER_API_LISTEN): ${error.code}`);
    });
    this.#server.removeAllListeners('error');
    this.#server.on('error', (error) => this.#parts.log.error({ err: error }, 'the API port failed'));
    const bound = this.#server.address();
    return bound !== null && typeof bound === 'object' ? bound.port : port;
  }

  /** Stops listening and lets requests in flight finish; after the deadline they are cut. */
  async close(deadlineMs: number): Promise<void> {
    if (!this.#server.listening) return;
    const cut = setTimeout(() => this.#server.closeAllConnections(), Math.max(0, deadlineMs));
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    await closed;
    clearTimeout(cut);
  }
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
