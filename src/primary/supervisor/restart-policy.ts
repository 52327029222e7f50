/** How a worker ended. Times are ms of one monotonic clock. */
export interface WorkerExit {
  readonly at: number;
  readonly slot: number;
  /** How long it lived after it had become ready; `undefined` if it never did. */
  readonly servedMs: number | undefined;
  /** Ended by SIGKILL from outside: an operator, or a system short of memory. */
  readonly killed: boolean;
  /** There never was a process: the system had no descriptor, memory or program for it. */
  readonly startFailed: boolean;
}

export type RestartDecision =
  | { readonly kind: 'respawn'; readonly delayMs: number }
  | { readonly kind: 'give up'; readonly reason: string };

/** A worker that served for this long was well. */
const HEALTHY_MS = 10_000;
const WINDOW_MS = 60_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
const FAILED_STARTS_PER_SLOT = 3;
const CRASHES_PER_SLOT = 5;
const MIN_CRASHES = 10;

/** The workers of this host besides the one that died. */
export interface Host {
  readonly workers: number;
  /** Whether a worker was ever ready. */
  readonly everReady: boolean;
  /** Whether a worker is ready now. */
  readonly othersServe: boolean;
}

/**
 * What to do after the last death in `deaths` (oldest first). The first crash of a worker is answered at once, each
 * further one a while later. Two things end gusher: a start in which no worker becomes ready, and more crashes in a
 * minute than bad luck explains. Not counted are:
 *
 * - a kill from outside, or a tired operator could stop gusher;
 * - what could not be started, once a worker was ready: strangers' sockets can use up the descriptors, and the end of
 *   gusher would not bring back what the system lacks;
 * - a worker that ended before it was ready, as long as others serve: during an upgrade in place its files are away, and
 *   the clients of the others would be lost for nothing.
 */
export function decideRestart(
  exits: readonly WorkerExit[],
  { workers, everReady, othersServe }: Host,
): RestartDecision {
  const last = exits.at(-1);
  if (last === undefined) return { kind: 'respawn', delayMs: 0 };
  const failures = recentExits(exits).filter(isFailure);
  if (!everReady && failures.length >= FAILED_STARTS_PER_SLOT * workers) {
    return { kind: 'give up', reason: 'no worker became ready: each died while it started' };
  }
  const crashes = failures.filter(
    ({ startFailed, servedMs }) => !startFailed && !(othersServe && servedMs === undefined),
  );
  if (crashes.length >= Math.max(MIN_CRASHES, CRASHES_PER_SLOT * workers)) {
    return { kind: 'give up', reason: `workers crashed ${crashes.length} times within a minute` };
  }
  const inThisSlot = failures.filter((exit) => exit.slot === last.slot).length;
  if (inThisSlot <= 1) return { kind: 'respawn', delayMs: 0 };
  return { kind: 'respawn', delayMs: Math.min(FIRST_DELAY_MS * 2 ** (inThisSlot - 2), LONGEST_DELAY_MS) };
}

/** Those of `deaths` (oldest first) that still matter at the last one. */
export function recentExits(exits: readonly WorkerExit[]): WorkerExit[] {
  const lastAt = exits.at(-1)?.at ?? 0;
  return exits.filter(({ at }) => lastAt - at < WINDOW_MS);
}

function isFailure({ servedMs, killed }: WorkerExit): boolean {
  if (servedMs === undefined) return true;
  return !killed && servedMs < HEALTHY_MS;
}
