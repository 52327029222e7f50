import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { formatAddress } from '../../shared/address.ts';
import type { Settings } from '../../shared/config.ts';
import { REFUSALS, RefusalError } from '../../shared/errors.ts';
import { httpRefusal } from '../../shared/http-refusal.ts';
import type { Logger } from '../../shared/log.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Apps } from '../apps.ts';
import type { Handler } from './exchange.ts';
import { health, type Readiness, readiness, versionOf } from './health.ts';
import { type Publisher, publishMessage } from './messages.ts';
import { type Permit, Router } from './router.ts';

const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than the idle time-outs of common proxies, which then are the ones to close. */
const KEEP_ALIVE_MS = 65_000;

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
 * The API port of this worker; Node shares the port among all of them. Knows which routes there are and which
 * need the token; what a route does is in the file of its resource.
 */
export class ApiServer {
  readonly #parts: ApiParts;
  readonly #tokenDigest: Buffer | undefined;
  readonly #server: Server;

  constructor(parts: ApiParts) {
    this.#parts = parts;
    const { apiToken } = parts.settings;
    this.#tokenDigest = apiToken === undefined ? undefined : digest(apiToken);
    const routes = this.#drawRoutes();
    this.#server = createServer({
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    });
    this.#server.on('request', routes.serve);
    this.#server.on('checkContinue', routes.serve);
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

  #drawRoutes(): Router {
    const { apps, publisher, settings, version, log } = this.#parts;
    const routes = new Router({ log });
    routes.get('/healthz', health);
    routes.get('/readyz', readiness(this.#parts.readiness));
    routes.get('/version', versionOf(version));
    routes.on(
      'POST',
      '/v1/apps/:app/channels/:channel/messages',
      this.#counted(publishMessage({ apps, publisher, bodyMaxBytes: settings.bodyMaxBytes })),
      this.#mustBeAuthorized,
    );
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

  readonly #mustBeAuthorized: Permit = (request, response) => {
    if (this.#tokenDigest === undefined) return;
    const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token !== undefined && timingSafeEqual(digest(token), this.#tokenDigest)) return;
    response.setHeader('WWW-Authenticate', 'Bearer');
    throw new RefusalError('unauthorized');
  };
}

/** Equal lengths, so that a comparison tells nothing of the token. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal = error.code === 'HPE_HEADER_OVERFLOW' ? REFUSALS.head_too_large : REFUSALS.bad_request;
  socket.end(httpRefusal(refusal), () => socket.destroy());
}
