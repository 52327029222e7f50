import type { Running, Target } from './target.ts';

const BOTTLENECK = ' were the bottleneck';

/** What a run of the benchmark is made with. */
export interface Plan {
  readonly targets: readonly Target[];
  readonly rounds: number;
  /** A run of seconds that shows that everything works, and measures nothing worth keeping. */
  readonly short: boolean;
}

/** One figure of one target. */
export interface Figure {
  readonly scenario: string;
  readonly target: string;
  readonly unit: string;
  /** One value for each round. */
  readonly values: readonly number[];
  /** What has to be said of it: clients that were the bottleneck, messages that did not come. */
  readonly remarks: readonly string[];
  /** In a series: how much work it was. Compared with the smallest of the series. */
  readonly size?: number;
}

/** One thing that is measured. */
export interface Scenario {
  readonly name: string;
  /** The targets it makes sense for. */
  readonly suits: (target: Target) => boolean;
  readonly measure: (target: Target, plan: Plan) => Promise<Measured | readonly Measured[]>;
}

export interface Measured {
  /** By unit; the first is the one that is compared. */
  readonly values: Readonly<Record<string, number>>;
  readonly remarks?: readonly string[];
  readonly size?: number;
}

/** What is said of a figure that tells of something else than the server; all other remarks tell of a fault. */
export function bottleneck(what: string): string {
  return `${what}${BOTTLENECK}`;
}

export function isBottleneck(remark: string): boolean {
  return remark.endsWith(BOTTLENECK);
}

/** Starts a target, measures it, and stops it whatever happens. */
export async function withRunning<T>(
  target: Target,
  use: (running: Running) => Promise<T>,
  env?: Readonly<Record<string, string>>,
): Promise<T> {
  const running = await target.start(env);
  try {
    return await use(running);
  } finally {
    await running.stop();
  }
}
