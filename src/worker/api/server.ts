import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import findMyWay, { type HTTPMethod, type Instance } from 'find-my-way';
import { formatAddress } from '../../shared/address.ts';
import type { Settings } from '../../shared/config.ts';
import { REFUSALS, RefusalError } from '../../shared/errors.ts';
import { httpRefusal } from '../../shared/http-refusal.ts';
import type { Logger } from '../../shared/log.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Apps } from '../apps.ts';
import { ClientGoneError } from './body.ts';
import { type Handler, refuse } from './exchange.ts';
import { health, type Readiness, readiness, versionOf } from './health.ts';
import { type Publisher, publishMessage } from './messages.ts';

const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than the idle time-outs of common proxies, which then are the ones to close. */
const KEEP_ALIVE_MS = 65_000;
const PARAM_MAX_LENGTH = 2_048;
const METHODS: readonly HTTPMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export interface ApiParts {
  readonly settings: Pick<Settings, 'apiListen' | 'apiToken' | 'bodyMaxBytes'>;
  readonly apps: Pick<Apps, 'find'>;
  readonly publisher: Publisher;
  readonly readiness: () => Readiness;
  readonly version: string;
  readonly stats: Stats;
  readonly log: Logger;
}

/**
 * The API port of this worker; Node shares the port among all of them. Everything answered is JSON, every
 * refusal is one of the catalogue. Knows routes and tokens; what a route does is in the file of its resource.
 */
export class ApiServer {
  readonly #parts: ApiParts;
  readonly #tokenDigest: Buffer | undefined;
  readonly #routes: Instance<never>;
  readonly #server: Server;

  constructor(parts: ApiParts) {
    this.#parts = parts;
    const { apiToken } = parts.settings;
    this.#tokenDigest = apiToken === undefined ? undefined : digest(apiToken);
    this.#routes = this.#drawRoutes() as Instance<never>;
    this.#server = createServer({
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    });
    this.#server.on('request', this.#onRequest);
    this.#server.on('checkContinue', this.#onRequest);
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

  #drawRoutes() {
    const { apps, publisher, settings, version } = this.#parts;
    const routes = findMyWay({ maxParamLength: PARAM_MAX_LENGTH, ignoreTrailingSlash: true });
    const get = (path: string, handler: Handler): void => {
      routes.on(['GET', 'HEAD'], path, noHandler, { handler, open: true });
    };
    get('/healthz', health);
    get('/readyz', readiness(this.#parts.readiness));
    get('/version', versionOf(version));
    routes.on('POST', '/v1/apps/:app/channels/:channel/messages', noHandler, {
      handler: this.#counted(publishMessage({ apps, publisher, bodyMaxBytes: settings.bodyMaxBytes })),
    });
    return routes;
  }

  #counted(publish: Handler): Handler {
    const { stats } = this.#parts;
    return async (exchange) => {
      try {
        await publish(exchange);
        stats.publicationsAccepted += 1;
      } catch (error) {
        stats.publicationsRefused += 1;
        throw error;
      }
    };
  }

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    response.on('error', ignoreHangUp);
    this.#serve(request, response).catch((error: unknown) => this.#refuse(error, request, response));
  };

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method as HTTPMethod;
    const path = request.url ?? '/';
    const route = this.#find(method, path);
    if (route === undefined) throw this.#noRoute(path, response);
    const { handler, open } = route.store as { handler: Handler; open?: true };
    if (open === undefined && !this.#isAuthorized(request)) {
      response.setHeader('WWW-Authenticate', 'Bearer');
      throw new RefusalError('unauthorized');
    }
    if (request.headers.expect !== undefined) response.writeContinue();
    await handler({ request, response, params: route.params });
  }

  #find(method: HTTPMethod, path: string) {
    try {
      return this.#routes.find(method, path) ?? undefined;
    } catch {
      // A path that cannot be decoded leads nowhere.
      return undefined;
    }
  }

  /** Nothing answers there; or something does, but not this method (RFC 9110 §15.5.6 wants it named). */
  #noRoute(path: string, response: ServerResponse): RefusalError {
    const allowed = METHODS.filter((method) => this.#find(method, path) !== undefined);
    if (allowed.length === 0) return new RefusalError('not_found');
    response.setHeader('Allow', allowed.join(', '));
    return new RefusalError('method_not_allowed');
  }

  #isAuthorized(request: IncomingMessage): boolean {
    if (this.#tokenDigest === undefined) return true;
    const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    return token !== undefined && timingSafeEqual(digest(token), this.#tokenDigest);
  }

  #refuse(error: unknown, request: IncomingMessage, response: ServerResponse): void {
    if (error instanceof ClientGoneError || response.destroyed) return;
    if (!(error instanceof RefusalError)) {
      this.#parts.log.error({ err: error, method: request.method }, 'a request failed');
    }
    // What is left of a body that is not wanted is not waited for.
    if (!request.complete) {
      response.setHeader('Connection', 'close');
      request.resume();
    }
    refuse(response, error instanceof RefusalError ? error.refusal : REFUSALS.internal);
  }
}

/** Equal lengths, so that a comparison tells nothing of the token. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** Routes are found, not called, by the router. */
function noHandler(): void {}

/** A client that is gone is told by the request; the answer has nobody to go to. */
function ignoreHangUp(): void {}

function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal = error.code === 'HPE_HEADER_OVERFLOW' ? REFUSALS.head_too_large : REFUSALS.bad_request;
  socket.end(httpRefusal(refusal), () => socket.destroy());
}
