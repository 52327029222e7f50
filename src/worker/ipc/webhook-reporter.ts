import type { ToPrimary, WebhookReport } from '../../shared/ipc/messages.ts';
import type { WebhookEvent } from '../../shared/model/webhook-event.ts';
import { Reporter } from './reporter.ts';

/** Reports events that the webhooks of apps may deliver. */
export class WebhookReporter extends Reporter {
  #reports: WebhookReport[] = [];

  report(app: string, event: WebhookEvent): void {
    this.#reports.push({ app, event });
    this.schedule();
  }

  protected takeMessages(): ToPrimary[] {
    const reports = this.#reports;
    this.#reports = [];
    return [{ type: 'webhookReports', reports }];
  }
}
