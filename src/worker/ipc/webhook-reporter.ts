import type { ToPrimary, WebhookReport } from '../../shared/ipc/messages.ts';
import type { WebhookEvent } from '../../shared/model/webhook-event.ts';

/** Tells the primary, once per turn, what the webhooks of apps may be told. */
export class WebhookReporter {
  readonly #send: (message: ToPrimary) => void;
  readonly #scheduleFlush: () => void;
  #reports: WebhookReport[] = [];

  constructor(options: { send: (message: ToPrimary) => void; scheduleFlush: () => void }) {
    this.#send = options.send;
    this.#scheduleFlush = options.scheduleFlush;
  }

  report(app: string, event: WebhookEvent): void {
    this.#reports.push({ app, event });
    this.#scheduleFlush();
  }

  flush(): void {
    if (this.#reports.length === 0) return;
    this.#send({ type: 'webhookReports', reports: this.#reports });
    this.#reports = [];
  }
}
