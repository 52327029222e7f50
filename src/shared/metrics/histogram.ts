/** Observations of one distribution: how many were at most each bound, not cumulative, and their sum. */
export interface Histogram {
  /** One count per bound of `SECONDS`, then the count of larger observations. */
  readonly counts: number[];
  sum: number;
}

/** Upper bounds of the buckets of all histograms, in seconds: from a delivery on one host to a webhook that times out. */
export const SECONDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

export function createHistogram(): Histogram {
  return { counts: new Array<number>(SECONDS.length + 1).fill(0), sum: 0 };
}

/** Counts one duration. Negative durations count as 0. */
export function observe(histogram: Histogram, seconds: number): void {
  const { counts } = histogram;
  let bucket = 0;
  while (bucket < SECONDS.length && seconds > (SECONDS[bucket] as number)) bucket += 1;
  counts[bucket] = (counts[bucket] as number) + 1;
  if (seconds > 0) histogram.sum += seconds;
}
