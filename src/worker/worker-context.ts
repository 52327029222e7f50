import type { AppRegistry } from '../shared/apps/app-registry.ts';
import type { Settings } from '../shared/config/settings.ts';
import type { ClientLog } from '../shared/logging/client-log.ts';
import type { Logger } from '../shared/logging/log.ts';
import type { UnexpectedErrors } from '../shared/logging/unexpected-errors.ts';
import type { Stats } from '../shared/metrics/stats.ts';

/** What every layer of a worker uses. */
export interface WorkerContext {
  readonly settings: Settings;
  readonly apps: AppRegistry;
  readonly stats: Stats;
  readonly unexpected: UnexpectedErrors;
  readonly clientLog: ClientLog;
  readonly log: Logger;
}
