/** How a worker ended. Times are in ms of one monotonic clock. */
export interface WorkerExit {
  readonly at: number;
  readonly slot: number;
  /** How long it ran after it became ready; `undefined` if it never did. */
  readonly servedMs: number | undefined;
  /** Killed by SIGKILL from outside: by an operator, or by a system that is out of memory. */
  readonly killed: boolean;
  /** No process was created: the system lacked a descriptor, memory or the program. */
  readonly startFailed: boolean;
}

export type RestartDecision =
  | { readonly kind: 'respawn'; readonly delayMs: number }
  | { readonly kind: 'give up'; readonly reason: string };

/** A worker that served for this long was healthy. */
const HEALTHY_MS = 10_000;
const WINDOW_MS = 60_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
const FAILED_STARTS_PER_SLOT = 3;
const CRASHES_PER_SLOT = 5;
const MIN_CRASHES = 10;

/** The workers of this host. */
export interface HostWorkers {
  readonly workers: number;
  /** Whether any worker was ever ready. */
  readonly everReady: boolean;
  /** Whether another worker is ready now. */
  readonly othersServe: boolean;
}

/**
 * Decides what follows the last of `exits` (oldest first). A slot is respawned at once after its first failure, and with
 * a growing delay after each further one. Two things stop gusher: a start in which no worker becomes ready, and too
 * many crashes within a minute. Not counted are:
 *
 * - Kills from outside: an operator who restarts workers must not stop gusher.
 * - Failed forks once a worker was ready: clients can use up the descriptors, and a restart would not free them.
 * - Exits before a worker is ready while others serve: during an upgrade in place files are missing for a moment, and
 *   the clients of the other workers must stay connected.
 */
export function decideRestart(
  exits: readonly WorkerExit[],
  { workers, everReady, othersServe }: HostWorkers,
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
  const failuresOfSlot = failures.filter((exit) => exit.slot === last.slot).length;
  if (failuresOfSlot <= 1) return { kind: 'respawn', delayMs: 0 };
  return { kind: 'respawn', delayMs: Math.min(FIRST_DELAY_MS * 2 ** (failuresOfSlot - 2), LONGEST_DELAY_MS) };
}

/** Returns those of `exits` (oldest first) that are recent at the time of the last one. */
export function recentExits(exits: readonly WorkerExit[]): WorkerExit[] {
  const lastAt = exits.at(-1)?.at ?? 0;
  return exits.filter(({ at }) => lastAt - at < WINDOW_MS);
}

function isFailure({ servedMs, killed }: WorkerExit): boolean {
  if (servedMs === undefined) return true;
  return !killed && servedMs < HEALTHY_MS;
}
