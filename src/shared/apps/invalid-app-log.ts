import type { Logger } from '../log.ts';
import { LogThrottle } from '../logging/log-throttle.ts';

const INTERVAL_MS = 600_000;

/**
 * Logs apps that are stored and cannot be served, once per app and fields in ten minutes. For clients such an app does
 * not exist.
 */
export class InvalidAppLog {
  readonly #throttle: LogThrottle;

  constructor(options: { log: Logger }) {
    this.#throttle = new LogThrottle({ log: options.log, intervalMs: INTERVAL_MS });
  }

  /** Names of fields alone: their values may be secrets. */
  readonly onInvalidApp = (app: string, fields: readonly string[]): void => {
    this.#throttle.write(`${app} ${fields.join()}`, {
      level: 'warn',
      facts: { event: 'app_invalid', app, fields },
      message: 'registered app has invalid fields and is not served',
    });
  };
}
