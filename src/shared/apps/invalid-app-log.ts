import type { Logger } from '../logging/log.ts';
import { LogThrottle } from '../logging/log-throttle.ts';

const INTERVAL_MS = 600_000;

/**
 * Logs stored apps with invalid fields, once per app and fields in ten minutes. For clients these apps do not exist.
 */
export class InvalidAppLog {
  readonly #throttle: LogThrottle;

  constructor(options: { log: Logger }) {
    this.#throttle = new LogThrottle({ log: options.log, intervalMs: INTERVAL_MS });
  }

  /** Logs only names of fields, because values may be secrets. */
  readonly onInvalidApp = (app: string, fields: readonly string[]): void => {
    this.#throttle.write(`${app} ${fields.join()}`, {
      level: 'warn',
      facts: { event: 'app_invalid', app, fields },
      message: 'registered app has invalid fields and is not served',
    });
  };
}
