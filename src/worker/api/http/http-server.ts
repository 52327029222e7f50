import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { ERRORS, type ErrorEntry } from '../../../shared/errors/catalogue.ts';
import { type ErrorBody, errorBody, httpErrorResponse } from '../../../shared/errors/http-error.ts';
import { requestClass } from './incoming-request.ts';

/** How long a request with its body may take. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than the idle time-outs of common proxies, which then are the ones to close. */
const KEEP_ALIVE_MS = 65_000;
/** Attack: a client that does not read its answer. */
const SILENCE_MS = 120_000;
/** A connection is closed after so many requests, so that another worker can get the next one. */
const REQUESTS_PER_SOCKET_MAX = 1_000;
/** Attack: a pipeline of requests whose answers take time. Node handles all of them at once. */
const PIPELINE_MAX = 32;
/** How long a client whose request is malformed has to read the error, before its socket is destroyed. */
const LINGER_MS = 1_000;
/** How often Node looks for requests that take too long. */
const TIMEOUT_LOOK_MS = 1_000;
/** How often, while closing, it is looked for requests that have finished. */
const CLOSE_POLL_MS = 20;

export interface HttpServerOptions {
  readonly serve: (request: IncomingMessage, response: ServerResponse) => void;
  /** Whether a request with an `Upgrade` field leaves HTTP, by an `upgrade` event; any other is served. */
  readonly isUpgrade?: (request: IncomingMessage) => boolean;
  /** The form that errors have at a path. */
  readonly errorBodyAt: (path: string) => ErrorBody;
  readonly headersMaxBytes?: number;
  readonly headTimeoutMs: number;
  /** Connections that may stay open between requests; with more of them each answer closes its own. */
  readonly keptMax: number;
}

interface Exchanges {
  /** Requests that came. */
  total: number;
  /** Requests without a whole answer. */
  pending: number;
  last: { readonly request: IncomingMessage; readonly response: ServerResponse } | undefined;
}

/**
 * Serves HTTP on sockets that are given to it by `connection` events of `server`; it never listens itself. The same
 * limits hold for the first and every later request of a connection, on either port.
 */
export class HttpServer {
  readonly server: Server;
  readonly #options: HttpServerOptions;
  readonly #sockets = new Map<Socket, Exchanges>();
  #closing = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const { isUpgrade, headersMaxBytes, headTimeoutMs } = options;
    this.server = createServer({
      IncomingMessage: requestClass(
        (request) => isUpgrade?.(request) ?? false,
        (request) => this.#isSurplus(request.socket),
      ),
      requestTimeout: Math.max(REQUEST_TIMEOUT_MS, headTimeoutMs),
      headersTimeout: headTimeoutMs,
      connectionsCheckingInterval: TIMEOUT_LOOK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Node would refuse without a word; the routes say why.
      requireHostHeader: false,
      ...(headersMaxBytes !== undefined && { maxHeaderSize: headersMaxBytes }),
    });
    this.server.timeout = SILENCE_MS;
    this.server.maxRequestsPerSocket = REQUESTS_PER_SOCKET_MAX;
    this.server.on('connection', this.#onConnection);
    for (const event of ['request', 'checkContinue', 'checkExpectation'])
      this.server.on(event, this.#onRequest);
    this.server.on('upgrade', this.#onUpgrade);
    this.server.on('connect', onConnectMethod);
    this.server.on('clientError', this.#onClientError);
    // Node starts to watch its time-outs when a server begins to listen, which this one never does.
    this.server.emit('listening');
  }

  /** From now on each answer closes its connection. */
  stop(): void {
    this.#closing = true;
    this.server.closeIdleConnections();
  }

  /** Lets requests in flight finish, and closes everything else; after the deadline they are cut. */
  async close(timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs;
    this.#closing = true;
    for (const [socket, { total }] of this.#sockets) {
      if (total === 0 && socket.bytesRead === 0) socket.destroy();
    }
    this.server.closeIdleConnections();
    while (this.#sockets.size > 0 && performance.now() < until) {
      await pause(CLOSE_POLL_MS);
      this.server.closeIdleConnections();
    }
    for (const socket of this.#sockets.keys()) socket.destroy();
    this.server.close();
  }

  readonly #onConnection = (socket: Socket): void => {
    this.#sockets.set(socket, { total: 0, pending: 0, last: undefined });
    socket.once('close', () => this.#sockets.delete(socket));
  };

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const exchanges = this.#sockets.get(request.socket);
    if (exchanges !== undefined) {
      exchanges.total += 1;
      exchanges.pending += 1;
      exchanges.last = { request, response };
      response.once('close', () => {
        exchanges.pending -= 1;
      });
    }
    if (this.#closing || this.#sockets.size > this.#options.keptMax) response.shouldKeepAlive = false;
    this.#options.serve(request, response);
  };

  #isSurplus(socket: Socket): boolean {
    return (this.#sockets.get(socket)?.pending ?? 0) >= PIPELINE_MAX;
  }

  readonly #onUpgrade = (_request: unknown, socket: Socket): void => {
    if (this.#isSurplus(socket)) socket.destroy();
    else this.#sockets.delete(socket);
  };

  readonly #onClientError = (error: NodeJS.ErrnoException, socket: Socket): void => {
    const exchanges = this.#sockets.get(socket);
    if (
      error.code === 'ECONNRESET' ||
      error.code === 'EPIPE' ||
      !socket.writable ||
      !isNextToAnswer(exchanges)
    ) {
      socket.destroy();
      return;
    }
    const inBody = exchanges !== undefined && exchanges.pending > 0 ? exchanges.last?.request : undefined;
    const body = inBody === undefined ? errorBody : this.#options.errorBodyAt(inBody.url ?? '');
    socket.end(httpErrorResponse(errorOf(error, inBody !== undefined), body));
    // A socket that is closed with bytes unread is reset, which destroys the answer.
    socket.removeAllListeners('data');
    socket.on('data', ignoreBytes);
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  };
}

/**
 * Whether what is written now answers the request that failed. Attack: an error in a pipelined request, written before
 * the answer to the request before it, would be taken for that answer.
 */
function isNextToAnswer(exchanges: Exchanges | undefined): boolean {
  if (exchanges === undefined || exchanges.pending === 0) return true;
  const { pending, last } = exchanges;
  return pending === 1 && last !== undefined && !last.request.complete && !last.response.headersSent;
}

function errorOf({ code }: NodeJS.ErrnoException, isInBody: boolean): ErrorEntry {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return ERRORS.headers_too_large;
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return isInBody ? ERRORS.body_timeout : ERRORS.request_timeout;
    default:
      return ERRORS.bad_request;
  }
}

/** `CONNECT`: this is no proxy. */
function onConnectMethod(_request: unknown, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  socket.end(httpErrorResponse(ERRORS.method_not_allowed), () => socket.destroy());
}

function ignoreBytes(): void {}
