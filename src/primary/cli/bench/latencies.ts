import { createHistogram } from 'node:perf_hooks';

const MICROSECONDS = 1_000;
/** Upper bounds in ms; the last bucket has none. */
const BOUNDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

/** Percentiles in ms. */
export interface Latencies {
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Counts of a range of latencies; the last bucket has no upper bound. */
export interface Bucket {
  readonly upToMs: number | null;
  readonly count: number;
}

/** Records latencies with three significant digits, in constant memory. */
export class LatencyRecorder {
  readonly #histogram = createHistogram({ figures: 3 });
  readonly #counts: number[] = new Array<number>(BOUNDS.length + 1).fill(0);

  get count(): number {
    return this.#histogram.count;
  }

  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * MICROSECONDS)));
    const found = BOUNDS.findIndex((bound) => ms <= bound);
    const index = found < 0 ? BOUNDS.length : found;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  /** `undefined` without a latency. */
  get latencies(): Latencies | undefined {
    if (this.count === 0) return undefined;
    const { min, mean, max } = this.#histogram;
    const ms = (microseconds: number): number => Math.round(microseconds) / MICROSECONDS;
    const percentile = (percent: number): number => ms(this.#histogram.percentile(percent));
    return {
      min: ms(min),
      mean: ms(mean),
      p50: percentile(50),
      p90: percentile(90),
      p99: percentile(99),
      p999: percentile(99.9),
      max: ms(max),
    };
  }

  /** The buckets from the first to the last one that is not empty. */
  get buckets(): Bucket[] {
    const buckets = this.#counts.map((count, index) => ({ upToMs: BOUNDS[index] ?? null, count }));
    const first = buckets.findIndex(({ count }) => count > 0);
    const last = buckets.findLastIndex(({ count }) => count > 0);
    return first < 0 ? [] : buckets.slice(first, last + 1);
  }
}
