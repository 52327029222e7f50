import type { BrokerGauges, ProcessGauges } from '../../shared/metrics/gauges.ts';
import { addStats, createStats, retiredStats, type Stats } from '../../shared/metrics/stats.ts';

/** The latest report of a worker process. */
export interface WorkerState {
  readonly slot: number;
  stats: Stats;
  /** `undefined` before its first `metricsReport`. */
  gauges: (ProcessGauges & BrokerGauges) | undefined;
}

/** The reports of all workers. The counters of exited workers stay in the sum. */
export class WorkerTotals {
  readonly #workers = new Map<number, WorkerState>();
  readonly #retired = createStats();

  /** Keeps the latest report of the process in a slot. */
  report(slot: number, stats: Stats, gauges?: WorkerState['gauges']): void {
    const worker = this.#workers.get(slot);
    if (worker === undefined) {
      this.#workers.set(slot, { slot, stats, gauges });
      return;
    }
    worker.stats = stats;
    worker.gauges = gauges ?? worker.gauges;
  }

  /** The process in a slot exited. */
  retire(slot: number): void {
    const worker = this.#workers.get(slot);
    if (worker === undefined) return;
    this.#workers.delete(slot);
    addStats(this.#retired, retiredStats(worker.stats));
  }

  /** The running workers, by slot. */
  get workers(): WorkerState[] {
    return [...this.#workers.values()].sort((one, other) => one.slot - other.slot);
  }

  /** The sum of `own` and the stats of all workers that ever ran. */
  sum(own: Stats): Stats {
    const sum = createStats();
    addStats(sum, own);
    addStats(sum, this.#retired);
    for (const { stats } of this.#workers.values()) addStats(sum, stats);
    return sum;
  }
}
