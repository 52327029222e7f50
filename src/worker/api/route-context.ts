import type { AppFinder } from '../../shared/apps/app-registry.ts';
import type { AppStore } from '../../shared/apps/app-store.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/logging/log.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { Publisher } from '../broker/publisher.ts';
import type { IdempotencyKeys } from '../ipc/idempotency-client.ts';
import type { PresenceQueries } from '../ipc/presence-client.ts';
import type { TailClient } from '../ipc/tail-client.ts';
import type { DeliveryReportSource } from '../metrics/delivery-report-client.ts';
import type { MetricsSource } from '../metrics/metrics-client.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type { ReadinessDetails, ReadinessState } from './operations/readiness.ts';

/** The dependencies of the routes of the API. */
export interface RouteContext {
  readonly apps: AppFinder;
  readonly store: AppStore;
  readonly tokens: TokenVerifier;
  readonly publisher: Publisher;
  readonly presence: PresenceQueries;
  readonly idempotency: IdempotencyKeys;
  readonly tails: Pick<TailClient, 'open'>;
  readonly readiness: () => ReadinessState;
  readonly readinessDetails: () => ReadinessDetails;
  readonly metrics: MetricsSource;
  readonly deliveryReports: DeliveryReportSource;
  /** `undefined` without tracing. */
  readonly tracer: Tracer | undefined;
  readonly version: string;
  readonly settings: Pick<Settings, 'bodyMaxBytes' | 'apiToken'>;
  readonly log: Logger;
}
