import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import type { MetricsFormat } from '../../shared/metrics/gauges.ts';
import type { Stats } from '../../shared/metrics/stats.ts';
import { Deferred } from '../../shared/scheduling/deferred.ts';
import { METRICS } from './catalogue.ts';
import { Exposition } from './exposition.ts';
import type { HostState, PrimaryState } from './metric.ts';
import { WorkerTotals } from './worker-totals.ts';

/** A worker that does not report within this time counts with its last report. */
const COLLECT_TIMEOUT_MS = 250;
/** Attack: frequent scrapes. All within this time get the same text. */
const CACHE_MS = 1_000;

type Report = Extract<ToPrimary, { type: 'heartbeat' | 'metricsReport' }>;
type Query = Extract<ToPrimary, { type: 'metricsQuery' }>;

export interface MetricsDependencies {
  /** What the primary itself counts. */
  readonly stats: Stats;
  readonly readPrimary: () => Promise<PrimaryState>;
}

/** Collects the metrics of all processes of this host, and answers the workers that serve `GET /metrics`. */
export class Metrics {
  readonly #dependencies: MetricsDependencies;
  readonly #exposition = new Exposition(METRICS);
  readonly #totals = new WorkerTotals();
  /** Sends to the worker in each slot that accepts requests. */
  readonly #senders = new Map<number, (message: ToWorker) => void>();
  /** The slots whose report is awaited, during a collection. */
  readonly #awaited = new Set<number>();
  #allReported = new Deferred();
  #state: Promise<HostState> | undefined;
  #collectedAt = Number.NEGATIVE_INFINITY;
  readonly #texts = new Map<MetricsFormat, Promise<string>>();

  constructor(dependencies: MetricsDependencies) {
    this.#dependencies = dependencies;
  }

  /** The worker in a slot is ready, and answers from now on. */
  workerReady(slot: number, send: (message: ToWorker) => void): void {
    this.#senders.set(slot, send);
  }

  workerExited(slot: number): void {
    this.#senders.delete(slot);
    this.#totals.retire(slot);
    this.#reported(slot);
  }

  /** Keeps the report of a worker. */
  receive(slot: number, message: Report): void {
    if (message.type === 'metricsReport') {
      this.#totals.report(slot, message.stats, message.gauges);
      this.#reported(slot);
    } else if (message.stats !== undefined) {
      this.#totals.report(slot, message.stats);
    }
  }

  /** Sends the text of all metrics to the worker that asks for it. */
  async answer({ id, format }: Query, send: (message: ToWorker) => void): Promise<void> {
    send({ type: 'metrics', id, text: await this.#text(format) });
  }

  #text(format: MetricsFormat): Promise<string> {
    const now = performance.now();
    if (this.#state === undefined || now - this.#collectedAt > CACHE_MS) {
      this.#collectedAt = now;
      this.#state = this.#collect();
      this.#texts.clear();
    }
    const state = this.#state;
    const text = this.#texts.get(format) ?? state.then((host) => this.#exposition.format(format, host));
    this.#texts.set(format, text);
    return text;
  }

  async #collect(): Promise<HostState> {
    await this.#collectReports();
    const primary = await this.#dependencies.readPrimary();
    return { stats: this.#totals.sum(this.#dependencies.stats), workers: this.#totals.workers, primary };
  }

  async #collectReports(): Promise<void> {
    const allReported = new Deferred();
    this.#allReported = allReported;
    this.#awaited.clear();
    for (const [slot, send] of this.#senders) {
      this.#awaited.add(slot);
      send({ type: 'metricsCollect' });
    }
    if (this.#awaited.size === 0) return;
    const timer = setTimeout(() => allReported.resolve(), COLLECT_TIMEOUT_MS);
    await allReported.promise;
    clearTimeout(timer);
  }

  #reported(slot: number): void {
    if (this.#awaited.delete(slot) && this.#awaited.size === 0) this.#allReported.resolve();
  }
}
