import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import type { AppStore } from '../../shared/apps/app-store.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/log.ts';
import type { Stats } from '../../shared/stats.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { Publisher } from '../broker/publisher.ts';
import type { IdempotencyClient } from '../ipc/idempotency-client.ts';
import type { PresenceClient } from '../ipc/presence-client.ts';
import type { Readiness } from './resources/health.ts';

/** What the routes of the API are made of; each handler gets what it uses. */
export interface RouteContext {
  readonly apps: Pick<AppRegistry, 'find'>;
  readonly store: AppStore;
  readonly tokens: TokenVerifier;
  readonly publisher: Publisher;
  readonly presence: Pick<PresenceClient, 'query'>;
  readonly idempotency: Pick<IdempotencyClient, 'once'>;
  readonly readiness: () => Readiness;
  readonly version: string;
  readonly stats: Stats;
  readonly settings: Pick<Settings, 'bodyMaxBytes' | 'apiToken'>;
  readonly log: Logger;
}
