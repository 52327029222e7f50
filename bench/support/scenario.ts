import type { Running, Target } from './target.ts';

const BOTTLENECK = ' were the bottleneck';

/** The options of a benchmark run. */
export interface Plan {
  readonly targets: readonly Target[];
  readonly rounds: number;
  /** A run of a few seconds, which only checks that every scenario works. */
  readonly short: boolean;
}

/** One result of one target. */
export interface Figure {
  readonly scenario: string;
  readonly target: string;
  readonly unit: string;
  /** One value for each round. */
  readonly values: readonly number[];
  /** Remarks on the result: a bottleneck, missing clients, missing messages. */
  readonly remarks: readonly string[];
  /** In a series: the amount of work. The output compares it with the smallest size. */
  readonly size?: number;
}

/** One measurement. */
export interface Scenario {
  readonly name: string;
  /** Whether the scenario can measure the target. */
  readonly suits: (target: Target) => boolean;
  readonly measure: (target: Target, plan: Plan) => Promise<Measured | readonly Measured[]>;
}

export interface Measured {
  /** Values by unit. */
  readonly values: Readonly<Record<string, number>>;
  readonly remarks?: readonly string[];
  readonly size?: number;
}

/** Marks a result that something other than the server limited. Every other remark is an error. */
export function bottleneck(what: string): string {
  return `${what}${BOTTLENECK}`;
}

export function isBottleneck(remark: string): boolean {
  return remark.endsWith(BOTTLENECK);
}

/** Starts a target, measures it, and always stops it. */
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
