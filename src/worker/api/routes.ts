import type { HTTPMethod } from 'find-my-way';
import { permitOf } from './http/bearer-auth.ts';
import type { Router } from './http/router.ts';
import { drawV113, ping } from './legacy-v1-13.ts';
import { publishBatch } from './publish/batch-messages.ts';
import { publishMessage } from './publish/channel-messages.ts';
import { publishToSocket, publishToUser } from './publish/direct-messages.ts';
import { publishByPattern } from './publish/pattern-messages.ts';
import { type Publish, publishing } from './publish/publish-route.ts';
import {
  deleteRegistered,
  listRegistered,
  patchRegistered,
  putRegistered,
  showRegistered,
} from './resources/apps.ts';
import { countChannels, listChannels } from './resources/channels.ts';
import { health, readiness, versionOf } from './resources/health.ts';
import { listApps, totals } from './resources/stats.ts';
import { decodeToken, exchangeToken, preflight } from './resources/tokens.ts';
import { addUserChannel, replaceUserChannels } from './resources/user-grants.ts';
import { countChannelUsers, countUsers, listChannelUsers, listUsers } from './resources/users.ts';
import type { RouteParts } from './route-context.ts';

/** Every address of the API. What one does is in the file of its resource. */
export function drawRoutes(router: Router, parts: RouteParts): void {
  const { settings } = parts;
  const permit = permitOf(settings.apiToken);
  const publish = (method: HTTPMethod, path: string, work: Publish): void => {
    router.on(method, path, publishing({ ...parts, bodyMaxBytes: settings.bodyMaxBytes }, work), permit);
  };

  drawHealthRoutes(router, parts.readiness);
  // Open, but to pages of other sites no more than the rest.
  router.get('/version', versionOf(parts.version), settings.apiToken === undefined ? permit : undefined);

  publish('POST', '/v1/apps/:app/channels/:channel/messages', publishMessage(parts));
  publish('POST', '/v1/apps/:app/messages', publishByPattern(parts));
  publish('POST', '/v1/apps/:app/messages/batch', publishBatch(parts));
  publish('POST', '/v1/apps/:app/users/:user/messages', publishToUser(parts));
  publish('POST', '/v1/apps/:app/sockets/:socket/messages', publishToSocket(parts));
  publish('POST', '/v1/apps/:app/users/:user/channels', addUserChannel(parts));
  publish('PUT', '/v1/apps/:app/users/:user/channels', replaceUserChannels(parts));

  router.get('/v1/apps/:app/channels', listChannels(parts), permit);
  router.get('/v1/apps/:app/channels/count', countChannels(parts), permit);
  router.get('/v1/apps/:app/channels/:channel/users', listChannelUsers(parts), permit);
  router.get('/v1/apps/:app/channels/:channel/users/count', countChannelUsers(parts), permit);
  router.get('/v1/apps/:app/users', listUsers(parts), permit);
  router.get('/v1/apps/:app/users/count', countUsers(parts), permit);
  router.get('/v1/apps', listApps(parts.roster), permit);
  router.get('/v1/stats', totals(parts.roster), permit);

  router.get('/v1/admin/apps', listRegistered(parts), permit);
  router.get('/v1/admin/apps/:app', showRegistered(parts), permit);
  router.on('PUT', '/v1/admin/apps/:app', putRegistered(parts), permit);
  router.on('PATCH', '/v1/admin/apps/:app', patchRegistered(parts), permit);
  router.on('DELETE', '/v1/admin/apps/:app', deleteRegistered(parts), permit);

  router.on('POST', '/v1/auth/decode', decodeToken(parts), permit);
  drawV113(router, parts, permit);
}

/** The addresses on the public port that are no WebSockets. */
export function drawPublicRoutes(
  router: Router,
  parts: Pick<RouteParts, 'apps' | 'tokens' | 'readiness'>,
): void {
  drawHealthRoutes(router, () => ({ ready: parts.readiness().ready }));
  for (const path of ['/v1/auth', '/auth']) {
    router.on('POST', path, exchangeToken(parts));
    router.on('OPTIONS', path, preflight);
  }
  router.get('/ping', ping);
}

/** Where load balancers ask, those made for other servers too. They tell nothing but the state. */
function drawHealthRoutes(router: Router, state: RouteParts['readiness']): void {
  for (const path of ['/', '/healthz', '/up']) router.get(path, health);
  router.get('/readyz', readiness(state));
}
