import type { HTTPMethod } from 'find-my-way';
import { bearerAuth } from './http/bearer-auth.ts';
import type { Handler } from './http/exchange.ts';
import type { Router } from './http/router.ts';
import { ping, registerLegacyRoutes } from './legacy-v1-13.ts';
import { showOpenApi } from './openapi/show-openapi.ts';
import { detailedReadiness, health, readiness, showVersion } from './operations/health.ts';
import { showMetrics } from './operations/metrics.ts';
import { tail } from './operations/tail.ts';
import { publishBatch } from './publish/batch-messages.ts';
import { publishMessage } from './publish/channel-messages.ts';
import { publishToSocket, publishToUser } from './publish/direct-messages.ts';
import { publishByPattern } from './publish/pattern-messages.ts';
import { type PublishHandler, publishRoute } from './publish/publish-route.ts';
import {
  deleteRegistered,
  listRegistered,
  patchRegistered,
  putRegistered,
  showRegistered,
} from './resources/apps.ts';
import { countChannels, listChannels } from './resources/channels.ts';
import { listApps, showTotals } from './resources/stats.ts';
import { decodeToken, exchangeToken, preflight } from './resources/tokens.ts';
import { addUserChannel, replaceUserChannels } from './resources/user-grants.ts';
import { countChannelUsers, countUsers, listChannelUsers, listUsers } from './resources/users.ts';
import type { RouteContext } from './route-context.ts';

/** Registers all routes of the API port, except those of the Pusher HTTP API. */
export function registerRoutes(router: Router, dependencies: RouteContext): void {
  const { settings } = dependencies;
  const authHook = bearerAuth(settings.apiToken);
  const publish = (method: HTTPMethod, path: string, handler: PublishHandler): void => {
    router.on(
      method,
      path,
      publishRoute({ ...dependencies, bodyMaxBytes: settings.bodyMaxBytes }, handler),
      authHook,
    );
  };

  const { readiness: state, readinessDetails: details } = dependencies;
  registerHealthRoutes(router, detailedReadiness(state, details, authHook));
  // These need no token, but without a token pages of other sites may not read them.
  const localHook = settings.apiToken === undefined ? authHook : undefined;
  router.get('/version', showVersion(dependencies.version), localHook);
  router.get('/openapi.json', showOpenApi(), localHook);

  router.get('/metrics', showMetrics(dependencies.metrics), authHook);

  publish('POST', '/v1/apps/:app/channels/:channel/messages', publishMessage(dependencies));
  publish('POST', '/v1/apps/:app/messages', publishByPattern(dependencies));
  publish('POST', '/v1/apps/:app/messages/batch', publishBatch(dependencies));
  publish('POST', '/v1/apps/:app/users/:user/messages', publishToUser(dependencies));
  publish('POST', '/v1/apps/:app/sockets/:socket/messages', publishToSocket(dependencies));
  publish('POST', '/v1/apps/:app/users/:user/channels', addUserChannel(dependencies));
  publish('PUT', '/v1/apps/:app/users/:user/channels', replaceUserChannels(dependencies));

  router.get('/v1/apps/:app/channels', listChannels(dependencies), authHook);
  router.get('/v1/apps/:app/channels/count', countChannels(dependencies), authHook);
  router.get('/v1/apps/:app/channels/:channel/users', listChannelUsers(dependencies), authHook);
  router.get('/v1/apps/:app/channels/:channel/users/count', countChannelUsers(dependencies), authHook);
  router.get('/v1/apps/:app/users', listUsers(dependencies), authHook);
  router.get('/v1/apps/:app/users/count', countUsers(dependencies), authHook);
  router.get('/v1/apps', listApps(dependencies.presence), authHook);
  router.get('/v1/tail', tail(dependencies.tails), authHook);
  router.get('/v1/stats', showTotals(dependencies.presence), authHook);

  router.get('/v1/admin/apps', listRegistered(dependencies), authHook);
  router.get('/v1/admin/apps/:app', showRegistered(dependencies), authHook);
  router.on('PUT', '/v1/admin/apps/:app', putRegistered(dependencies), authHook);
  router.on('PATCH', '/v1/admin/apps/:app', patchRegistered(dependencies), authHook);
  router.on('DELETE', '/v1/admin/apps/:app', deleteRegistered(dependencies), authHook);

  router.on('POST', '/v1/auth/decode', decodeToken(dependencies), authHook);
  registerLegacyRoutes(router, dependencies, authHook);
}

/** Registers the routes of the public port, except those of WebSockets and the Pusher HTTP API. */
export function registerPublicRoutes(
  router: Router,
  dependencies: Pick<RouteContext, 'apps' | 'tokens' | 'readiness'>,
): void {
  const state = () => ({ ready: dependencies.readiness().ready });
  registerHealthRoutes(router, readiness(state));
  for (const path of ['/v1/auth', '/auth']) {
    router.on('POST', path, exchangeToken(dependencies));
    router.on('OPTIONS', path, preflight);
  }
  router.get('/ping', ping);
}

/** Registers the health checks, also at the paths of other servers. */
function registerHealthRoutes(router: Router, showReadiness: Handler): void {
  for (const path of ['/', '/healthz', '/up']) router.get(path, health);
  router.get('/readyz', showReadiness);
}
