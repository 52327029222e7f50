import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import type { DeliveryReport } from '../../shared/metrics/delivery-report.ts';
import { Deferred } from '../../shared/scheduling/deferred.ts';

/** Longer than the primary waits for the workers. */
const TIMEOUT_MS = 2_000;
const UNKNOWN: DeliveryReport = { complete: false, workers: [] };

/** Fetches delivery reports. */
export type DeliveryReportSource = Pick<DeliveryReportClient, 'fetch'>;

/** Requests from the primary what the workers of this host did with a publication. */
export class DeliveryReportClient {
  readonly #send: (message: ToPrimary) => void;
  readonly #pending = new Map<number, Deferred<DeliveryReport>>();
  #lastId = 0;

  constructor({ send }: { send: (message: ToPrimary) => void }) {
    this.#send = send;
  }

  /** Call it when the broker has accepted the publication. Never rejects: without an answer the report is incomplete. */
  async fetch(report: string, topic: string): Promise<DeliveryReport> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Deferred<DeliveryReport>();
    this.#pending.set(id, answer);
    const timer = setTimeout(() => answer.resolve(UNKNOWN), TIMEOUT_MS);
    this.#send({ type: 'deliveryReportQuery', id, report, topic });
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }

  receive({ id, report }: Extract<ToWorker, { type: 'deliveryReport' }>): void {
    this.#pending.get(id)?.resolve(report);
  }
}
