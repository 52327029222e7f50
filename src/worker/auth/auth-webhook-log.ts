import type { RefusalError } from '../../shared/errors/catalogue.ts';
import type { Logger } from '../../shared/log.ts';
import { LogThrottle } from '../../shared/logging/log-throttle.ts';

const INTERVAL_MS = 10_000;

/** Logs that the auth webhook of an app fails, throttled per app; never its URL, which may hold secrets. */
export class WebhookComplaints {
  readonly #throttle: LogThrottle;

  constructor(options: { log: Logger }) {
    this.#throttle = new LogThrottle({ log: options.log, intervalMs: INTERVAL_MS });
  }

  note(app: string, { code, cause }: RefusalError): void {
    // The webhook works: it rejected one credential.
    if (code === 'auth_refused') return;
    const fault = (cause as NodeJS.ErrnoException | undefined)?.code;
    this.#throttle.write(app, {
      level: 'warn',
      facts: { event: 'auth_webhook_failed', app, refusal: code, fault },
      message: 'auth webhook failed',
    });
  }
}
