import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import type { DeliveryReport } from '../../shared/metrics/delivery-report.ts';

/** A worker that has not reported by then is missing in the report. */
const TIMEOUT_MS = 1_000;
/** Attack, or accident: a backend that wants a report of each publication while workers are stuck. */
const PENDING_MAX = 1_000;

type Send = (message: ToWorker) => void;
type Query = Extract<ToPrimary, { type: 'deliveryReportQuery' }>;
type Part = Extract<ToPrimary, { type: 'deliveryReportPart' }>;

interface PendingReport {
  readonly id: number;
  readonly send: Send;
  readonly awaited: Set<number>;
  readonly workers: DeliveryReport['workers'][number][];
  readonly timer: NodeJS.Timeout;
}

/** Collects from the workers of this host what they did with one publication. */
export class DeliveryReports {
  readonly #pending = new Map<string, PendingReport>();

  /** Asks the `workers`, by slot, and answers with `send`. */
  query({ id, report, topic }: Query, workers: ReadonlyMap<number, Send>, send: Send): void {
    if (this.#pending.size >= PENDING_MAX || this.#pending.has(report)) {
      send({ type: 'deliveryReport', id, report: { complete: false, workers: [] } });
      return;
    }
    const timer = setTimeout(() => this.#finish(report), TIMEOUT_MS);
    this.#pending.set(report, { id, send, awaited: new Set(workers.keys()), workers: [], timer });
    for (const ask of workers.values()) ask({ type: 'deliveryReportAsk', report, topic });
    if (workers.size === 0) this.#finish(report);
  }

  receive(slot: number, { report, counts }: Part): void {
    const pending = this.#pending.get(report);
    if (pending?.awaited.delete(slot) !== true) return;
    pending.workers.push({ worker: slot, ...counts });
    if (pending.awaited.size === 0) this.#finish(report);
  }

  #finish(report: string): void {
    const pending = this.#pending.get(report);
    if (pending === undefined) return;
    this.#pending.delete(report);
    clearTimeout(pending.timer);
    const { id, send, awaited, workers } = pending;
    workers.sort((one, other) => one.worker - other.worker);
    send({ type: 'deliveryReport', id, report: { complete: awaited.size === 0, workers } });
  }
}
