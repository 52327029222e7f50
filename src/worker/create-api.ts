import type { Socket } from 'node:net';
import type { AppStore } from '../shared/apps/app-store.ts';
import type { ErrorCode } from '../shared/errors/catalogue.ts';
import { type ErrorBody, errorBodyAt as errorBodyOf } from '../shared/errors/http-error.ts';
import { BODILESS_METHODS } from '../shared/http/request-rules.ts';
import { isIn, parseNetworks, plainAddress } from '../shared/net/client-address.ts';
import type { Closers } from '../shared/process/closers.ts';
import { version } from '../shared/version.ts';
import { ApiServer } from './api/api-server.ts';
import { HttpServer } from './api/http/http-server.ts';
import { Router } from './api/http/router.ts';
import { Readiness } from './api/operations/readiness.ts';
import { registerPusherRoutes } from './api/pusher/routes.ts';
import { registerPublicRoutes, registerRoutes } from './api/routes.ts';
import type { TokenVerifier } from './auth/token-verifier.ts';
import type { HostState, HubLayer } from './create-hub.ts';
import type { UpgradeRequest } from './handshake/upgrade-request.ts';
import { registerUpgradeRoutes } from './handshake/upgrade-routes.ts';
import { IdempotencyClient } from './ipc/idempotency-client.ts';
import { TailClient } from './ipc/tail-client.ts';
import { DeliveryReportClient } from './metrics/delivery-report-client.ts';
import { MetricsClient } from './metrics/metrics-client.ts';
import type { Tracer } from './tracing/tracer.ts';
import type { WorkerContext } from './worker-context.ts';
import type { WorkerPipe } from './worker-pipe.ts';

/**
 * Idle HTTP connections on the public port. Attack: strangers that keep many open. With more of them, each response closes
 * its connection.
 */
const KEPT_CONNECTIONS_MAX = 1_024;

export interface ApiOptions extends WorkerContext {
  readonly slot: number;
  readonly store: AppStore;
  readonly tokens: TokenVerifier;
  readonly hubLayer: HubLayer;
  /** Returns true for a request that becomes a WebSocket. */
  readonly isUpgrade: (request: UpgradeRequest) => boolean;
  readonly pipe: WorkerPipe;
  readonly host: () => HostState;
  /** `undefined` without tracing. */
  readonly tracer: Tracer | undefined;
}

export type Api = ReturnType<typeof createApi>;

/** Creates the HTTP servers of both ports and their routes. */
export function createApi(options: ApiOptions) {
  const { settings, apps, store, tokens, hubLayer, isUpgrade, pipe, host } = options;
  const { stats, unexpected, clientLog, tracer, log } = options;
  const { broker, publisher, pusherPublisher, presence, sockets } = hubLayer;
  const { bodyMaxBytes, pusherPathPrefix } = settings;
  const errorBodyAt = (path: string): ErrorBody => errorBodyOf(path, pusherPathPrefix);
  const readiness = new Readiness({
    ...{ broker, store, host, log },
    brokerKind: settings.redisUrl === undefined ? 'embedded' : 'redis',
    slot: options.slot,
    workers: settings.workers,
  });
  const idempotency = new IdempotencyClient({ send: (message) => pipe.send(message) });
  const metrics = new MetricsClient({ send: (message) => pipe.send(message) });
  const deliveryReports = new DeliveryReportClient({ send: (message) => pipe.send(message) });

  const tails = new TailClient({ send: (message) => pipe.send(message) });

  const common = { unexpected, errorBodyAt, clientLog, stats };
  const publicRouter: Router = new Router({
    ...common,
    limits: { bodyMaxBytes, bodiless: BODILESS_METHODS },
    hint: (path) => {
      const isApiPath = apiRouter.has(path) || apiRouter.has(`/v1${path}`);
      return isApiPath ? 'api_port_only' : pathHint(path);
    },
  });
  const apiRouter: Router = new Router({
    ...common,
    limits: { bodyMaxBytes, bodiless: new Set() },
    hint: (path) => {
      if (publicRouter.has(path)) return 'public_port_only';
      return apiRouter.has(`/v1${path}`) ? 'version_missing' : pathHint(path);
    },
  });
  const context = {
    ...{ settings, log, apps, store, tokens, publisher, presence, idempotency, metrics },
    ...{ deliveryReports, tails, tracer, version },
    readiness: () => readiness.state,
    readinessDetails: () => readiness.details,
  };
  const pusherContext = { settings, apps, publisher: pusherPublisher, presence, cache: broker, tracer };
  registerPublicRoutes(publicRouter, context);
  registerUpgradeRoutes(publicRouter, pusherPathPrefix);
  registerRoutes(apiRouter, context);
  for (const router of [publicRouter, apiRouter]) registerPusherRoutes(router, pusherContext);

  const publicServer = new HttpServer({
    serve: publicRouter.serve,
    isUpgrade,
    errorBodyAt,
    headersMaxBytes: settings.headersMaxBytes,
    headTimeoutMs: settings.headersTimeoutMs,
    keptMax: KEPT_CONNECTIONS_MAX,
    requestsPerSecond: settings.connectionRequestsPerSecond,
    closesAfterResponse: trustedProxyCheck(settings.trustedProxies),
  });
  const apiServer = new ApiServer({ sockets, requests: apiRouter, errorBodyAt });
  return {
    publicServer,
    apiServer,
    readiness,
    idempotency,
    metrics,
    tails,
    deliveryReports,
    addClosers: (closers: Closers, remainingMs: () => number): void => {
      const timeoutMs = remainingMs();
      closers.add('readiness', () => readiness.close());
      closers.add('API', () => apiServer.close(remainingMs()), timeoutMs);
      // A tail is a request that never ends by itself.
      closers.add('tails', () => tails.close());
      closers.add('public requests', () => publicServer.close(remainingMs()), timeoutMs);
    },
  };
}

/**
 * Returns a function that recognizes the sockets of trusted proxies. The primary attributes a TCP connection to the client of
 * its first request. Attack: clients whose requests arrive on a connection that their proxy has used for another client, and
 * escape the limits of their address. So a proxy must not reuse a connection.
 */
function trustedProxyCheck(trustedProxies: string): (socket: Socket) => boolean {
  if (trustedProxies === '') return () => false;
  const networks = parseNetworks(trustedProxies);
  return ({ remoteAddress = '' }) => isIn(networks, plainAddress(remoteAddress));
}

/** Returns the error of a path that can never have a route. */
function pathHint(path: string): ErrorCode | undefined {
  return path.includes('//') ? 'empty_segment' : undefined;
}
