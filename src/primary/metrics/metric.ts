import type { ProcessGauges } from '../../shared/metrics/gauges.ts';
import { type Histogram, SECONDS } from '../../shared/metrics/histogram.ts';
import { type Counts, labelsOf, type Stats } from '../../shared/metrics/stats.ts';
import type { EventWebhookStats } from '../webhooks/delivery-queue.ts';
import type { WorkerState } from './worker-totals.ts';

export type Labels = Readonly<Record<string, string>>;

/** One line of the exposition. `suffix`: of a histogram. */
export interface Sample {
  readonly value: number;
  readonly labels?: Labels;
  readonly suffix?: '_bucket' | '_sum' | '_count';
}

/** Everything that metrics are read from, at one time. */
export interface HostState {
  /** Sum over the primary and all workers that ever ran. */
  readonly stats: Stats;
  readonly workers: readonly WorkerState[];
  readonly primary: PrimaryState;
}

/** What only the primary knows. */
export interface PrimaryState {
  readonly gauges: ProcessGauges;
  readonly openFilesLimit: number | undefined;
  /** Sockets without a worker, by the reason for which they wait. */
  readonly pendingSockets: { readonly head: number; readonly worker: number; readonly close: number };
  readonly names: { readonly bytes: number; readonly maxBytes: number };
  /** On all hosts. */
  readonly presence: { readonly apps: number; readonly channels: number; readonly users: number };
  /** Publications that the relay dropped because a worker was too far behind. */
  readonly publicationsDropped: number;
  /** Worker slots by state. */
  readonly workers: Readonly<Record<string, number>>;
  readonly workerRestarts: Counts;
  readonly eventWebhooks: EventWebhookStats;
  readonly eventWebhooksQueued: number;
  readonly version: string;
}

/** The declaration of one metric: what it means, and how it is read. */
export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  /** Its meaning, with its unit. */
  readonly help: string;
  readonly labels: readonly string[];
  /** When an operator should act, for docs/metrics.md. Empty: never because of this metric alone. */
  readonly alert: string;
  readonly read: (host: HostState) => Iterable<Sample>;
}

/** One number without labels. */
export function single(read: (host: HostState) => number): Metric['read'] {
  return (host) => [{ value: read(host) }];
}

/** One number for each value of a label. */
export function each(
  label: string,
  read: (host: HostState) => Readonly<Record<string, number>>,
): Metric['read'] {
  return (host) => Object.entries(read(host)).map(([key, value]) => ({ labels: { [label]: key }, value }));
}

/** One number for each pair of values of two labels: see `labelsOf`. */
export function eachPair(
  labels: readonly [string, string],
  read: (host: HostState) => Counts,
): Metric['read'] {
  return (host) =>
    Object.entries(read(host)).map(([key, value]) => {
      const [first, second] = labelsOf(key);
      return { labels: { [labels[0]]: first, [labels[1]]: second }, value };
    });
}

/** One number for each running worker for which it is known. */
export function eachWorker(read: (worker: WorkerState) => number | undefined): Metric['read'] {
  return ({ workers }) =>
    workers.flatMap((worker) => {
      const value = read(worker);
      return value === undefined ? [] : [{ labels: { worker: String(worker.slot) }, value }];
    });
}

/** The samples of one histogram: cumulative buckets, sum and count. */
export function* histogramSamples({ counts, sum }: Histogram, labels: Labels = {}): Generator<Sample> {
  let total = 0;
  for (const [index, count] of counts.entries()) {
    total += count;
    const le = index < SECONDS.length ? String(SECONDS[index]) : '+Inf';
    yield { suffix: '_bucket', labels: { le, ...labels }, value: total };
  }
  yield { suffix: '_sum', labels, value: sum };
  yield { suffix: '_count', labels, value: total };
}
