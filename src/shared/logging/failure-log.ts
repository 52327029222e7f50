import type { Logger } from './log.ts';
import { LogThrottle } from './log-throttle.ts';

/** A backend that is down fails for every client, but the operator needs one line. */
const INTERVAL_MS = 10_000;

/** Stable event names of failures. */
export type FailureEvent = 'auth_webhook_failed' | 'jwks_failed' | 'remote_backend_failed';

/** Logged facts of a failure; never a URL, header or body, which may contain secrets. */
export interface Failure {
  readonly app: string;
  /** The error code that the client receives. */
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

/** Logs failed requests to URLs of apps, throttled per app, event and reason. */
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
