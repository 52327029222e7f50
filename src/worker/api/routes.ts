import type { HTTPMethod } from 'find-my-way';
import type { Settings } from '../../shared/config.ts';
import type { Logger } from '../../shared/log.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Apps } from '../apps.ts';
import type { Tokens } from '../auth/tokens.ts';
import type { Publisher } from '../publisher.ts';
import { decodeToken, exchangeToken, preflight } from './auth.ts';
import { publishBatch } from './batch-messages.ts';
import { publishToSocket, publishToUser } from './direct-messages.ts';
import { health, type Readiness, readiness, versionOf } from './health.ts';
import type { IdempotencyDesk } from './idempotency-desk.ts';
import { publishMessage } from './messages.ts';
import { permitOf } from './permit.ts';
import { type Publish, publishing } from './publishing.ts';
import { Router } from './router.ts';
import { addUserChannel, replaceUserChannels } from './user-channels.ts';

export interface RouteParts {
  readonly apps: Pick<Apps, 'find'>;
  readonly tokens: Tokens;
  readonly publisher: Publisher;
  readonly idempotency: Pick<IdempotencyDesk, 'once'>;
  readonly readiness: () => Readiness;
  readonly version: string;
  readonly stats: Stats;
  readonly settings: Pick<Settings, 'bodyMaxBytes' | 'apiToken'>;
  readonly log: Logger;
}

/** Every address of the API. What one does is in the file of its resource. */
export function drawRoutes(parts: RouteParts): Router {
  const { log, settings } = parts;
  const router = new Router({ log });
  const permit = permitOf(settings.apiToken);
  const publish = (method: HTTPMethod, path: string, work: Publish): void => {
    router.on(method, path, publishing({ ...parts, bodyMaxBytes: settings.bodyMaxBytes }, work), permit);
  };

  router.get('/healthz', health);
  router.get('/readyz', readiness(parts.readiness));
  router.get('/version', versionOf(parts.version));

  publish('POST', '/v1/apps/:app/channels/:channel/messages', publishMessage(parts));
  publish('POST', '/v1/apps/:app/messages/batch', publishBatch(parts));
  publish('POST', '/v1/apps/:app/users/:user/messages', publishToUser(parts));
  publish('POST', '/v1/apps/:app/sockets/:socket/messages', publishToSocket(parts));
  publish('POST', '/v1/apps/:app/users/:user/channels', addUserChannel(parts));
  publish('PUT', '/v1/apps/:app/users/:user/channels', replaceUserChannels(parts));
  router.on('POST', '/v1/auth/decode', decodeToken(parts), permit);
  return router;
}

/** The addresses on the public port that are no WebSockets. */
export function drawPublicRoutes(router: Router, parts: Pick<RouteParts, 'apps' | 'tokens'>): void {
  for (const path of ['/v1/auth', '/auth']) {
    router.on('POST', path, exchangeToken(parts));
    router.on('OPTIONS', path, preflight);
  }
}
