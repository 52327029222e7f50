import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { ERRORS, type ErrorEntry, GusherError } from '../../../shared/errors/catalogue.ts';
import { type ErrorBody, errorBody, httpErrorResponse } from '../../../shared/errors/http-error.ts';
import { isAuthorized } from './exchange.ts';
import { requestClass } from './incoming-request.ts';

/** Time in which a request with its body must arrive. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than the idle timeouts of common proxies, so that the proxy closes the connection first. */
const KEEP_ALIVE_MS = 65_000;
/** Attack: a client that does not read its response. */
const SILENCE_MS = 120_000;
/** Requests before a connection is closed. The next connection may reach a less busy worker. */
const REQUESTS_PER_SOCKET_MAX = 1_000;
/** Attack: a pipeline of slow requests. Node handles all of them at once. */
const PIPELINE_MAX = 32;
/** Time for a client with a malformed request to read the error before its socket is destroyed. */
const LINGER_MS = 1_000;
/** Interval at which Node checks for requests that take too long. */
const TIMEOUT_CHECK_MS = 1_000;
/** Interval of checks for finished requests during close. */
const CLOSE_POLL_MS = 20;
const MS_PER_SECOND = 1_000;

export interface HttpServerOptions {
  /** Sends the response of a request, or `error` if the request is rejected. */
  readonly serve: (request: IncomingMessage, response: ServerResponse, error?: GusherError) => void;
  /** Returns true if the server must emit `upgrade` for a request with an `Upgrade` field instead of serving it. */
  readonly isUpgrade?: (request: IncomingMessage) => boolean;
  /** Returns the encoder of errors for a path. */
  readonly errorBodyAt: (path: string) => ErrorBody;
  readonly headersMaxBytes?: number;
  readonly headTimeoutMs: number;
  /** Connections that stay open between requests. With more open connections, each response closes its own. */
  readonly keptMax: number;
  /** Requests per second on one connection that are not authorized; by default unlimited. */
  readonly requestsPerSecond?: number;
  /** Returns true for a socket that one response closes. */
  readonly closesAfterResponse?: (socket: Socket) => boolean;
}

interface Exchanges {
  readonly closesAfterResponse: boolean;
  /** Received requests. */
  total: number;
  /** The second in which requests were last counted, and their number. */
  second: number;
  inSecond: number;
  /** Requests without a complete response. */
  pending: number;
  last: { readonly request: IncomingMessage; readonly response: ServerResponse } | undefined;
}

/**
 * Serves HTTP on sockets that arrive as `connection` events of `server`; it never listens itself. On both ports, the
 * same limits apply to every request of a connection.
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
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Node would reject without a body; the router sends an error.
      requireHostHeader: false,
      ...(headersMaxBytes !== undefined && { maxHeaderSize: headersMaxBytes }),
    });
    this.server.timeout = SILENCE_MS;
    this.server.maxRequestsPerSocket = REQUESTS_PER_SOCKET_MAX;
    this.server.on('connection', this.#onConnection);
    for (const event of ['request', 'checkContinue', 'checkExpectation'])
      this.server.on(event, this.#onRequest);
    this.server.on('upgrade', this.#onUpgrade);
    this.server.on('connect', rejectConnect);
    this.server.on('clientError', this.#onClientError);
    // Node starts its timeout checks on `listening`, which this server never reaches on its own.
    this.server.emit('listening');
  }

  /** Makes every response close its connection from now on. */
  stop(): void {
    this.#closing = true;
    this.server.closeIdleConnections();
  }

  /** Closes idle connections, waits for requests in progress, and destroys their sockets after the timeout. */
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
    const closesAfterResponse = this.#options.closesAfterResponse?.(socket) ?? false;
    this.#sockets.set(socket, {
      closesAfterResponse,
      total: 0,
      second: 0,
      inSecond: 0,
      pending: 0,
      last: undefined,
    });
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
        if (isAuthorized(request)) exchanges.inSecond = Math.max(exchanges.inSecond - 1, 0);
      });
    }
    const isLast =
      this.#closing || this.#sockets.size > this.#options.keptMax || exchanges?.closesAfterResponse;
    if (isLast === true) response.shouldKeepAlive = false;
    this.#options.serve(request, response, this.#rateError(exchanges));
  };

  /** Counts a request. Attack: a flood of small requests on one connection, each of which costs more than a frame. */
  #rateError(exchanges: Exchanges | undefined): GusherError | undefined {
    const { requestsPerSecond } = this.#options;
    if (requestsPerSecond === undefined || exchanges === undefined) return undefined;
    const second = Math.floor(performance.now() / MS_PER_SECOND);
    if (exchanges.second !== second) {
      exchanges.second = second;
      exchanges.inSecond = 0;
    }
    exchanges.inSecond += 1;
    return exchanges.inSecond > requestsPerSecond ? new GusherError('too_many_requests') : undefined;
  }

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
    const unfinished = exchanges !== undefined && exchanges.pending > 0 ? exchanges.last?.request : undefined;
    const body = unfinished === undefined ? errorBody : this.#options.errorBodyAt(unfinished.url ?? '');
    socket.end(httpErrorResponse(errorOf(error, unfinished !== undefined), body));
    // The system resets a socket that closes with unread bytes, which destroys the response.
    socket.removeAllListeners('data');
    socket.on('data', ignoreBytes);
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  };
}

/**
 * Returns true if the next response on the connection belongs to the failed request. Attack: a malformed pipelined
 * request. Its error, written before the response to the previous request, would pass for that response.
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

/** Rejects `CONNECT`, because this server is not a proxy. */
function rejectConnect(_request: unknown, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  socket.end(httpErrorResponse(ERRORS.method_not_allowed), () => socket.destroy());
}

function ignoreBytes(): void {}
