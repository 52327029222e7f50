import type { Logger } from '../log.ts';
import { LogThrottle } from './log-throttle.ts';

/** An operator has to see a failure once; a backend that is down fails for every client that connects. */
const INTERVAL_MS = 10_000;

/** A stable name of what failed. */
export type FailureEvent = 'auth_webhook_failed' | 'jwks_failed' | 'remote_backend_failed';

/** What is logged of a failure; never a URL, a header or a body, which may hold secrets. */
export interface Failure {
  readonly app: string;
  /** The error code that the client gets. */
  readonly code: string;
  readonly reason: string;
  /** HTTP status of the response, if there was one. */
  readonly status?: number | undefined;
  readonly systemCode?: string | undefined;
}

const MESSAGES: Readonly<Record<FailureEvent, string>> = {
  auth_webhook_failed: 'auth webhook failed',
  jwks_failed: 'token verification keys not available',
  remote_backend_failed: 'remote backend failed',
};

/** Logs failures of the addresses that apps have configured, throttled per app, event and reason. */
export class FailureLog {
  readonly #throttle: LogThrottle;

  constructor(options: { log: Logger }) {
    this.#throttle = new LogThrottle({ log: options.log, intervalMs: INTERVAL_MS });
  }

  note(event: FailureEvent, failure: Failure): void {
    this.#throttle.write(`${failure.app} ${failure.reason}`, {
      level: 'warn',
      facts: { event, ...failure },
      message: MESSAGES[event],
    });
  }
}
