import type { Logger } from '../../shared/logging/log.ts';
import { type Counts, count } from '../../shared/metrics/stats.ts';
import { decideRestart, recentExits, type WorkerExit } from './restart-policy.ts';
import type { SlotExit, WorkerSlot } from './worker-slot.ts';

/** The log line about an exit, and the reason that gusher prints if it gives up after it. */
interface ExitReport {
  readonly event: string;
  readonly message: string;
  readonly facts: object;
  readonly last: string;
}

export interface WorkerRestartOptions {
  readonly workers: number;
  /** Whether any worker was ever ready. */
  readonly everReady: () => boolean;
  /** Whether another worker is ready now. */
  readonly othersServe: () => boolean;
  /** Starts another process in a slot. */
  readonly start: (slot: WorkerSlot) => void;
  /** Stops gusher, because more restarts would not help. */
  readonly giveUp: (error: Error) => void;
  readonly log: Logger;
}

/** Starts another process in the slot of a worker that exited, after the delay of `decideRestart`, or gives up. */
export class WorkerRestarts {
  /** Unexpected exits and failed starts, by reason. */
  readonly counts: Counts = {};
  readonly #options: WorkerRestartOptions;
  #exits: WorkerExit[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: WorkerRestartOptions) {
    this.#options = options;
  }

  /** The process in a slot exited unexpectedly. */
  exited(slot: WorkerSlot, { code, signal, servedMs, killReason, killCause }: SlotExit): void {
    const killed = signal === 'SIGKILL' && killReason === undefined;
    count(this.counts, killCause ?? (killed ? 'killed' : signal === null ? 'exit' : 'signal'));
    const exit = { servedMs, killed, startFailed: false };
    this.#replace(slot, exit, {
      event: 'worker_exited',
      message: 'worker exited',
      facts: { code, signal, servedMs, killReason },
      last: signal ?? `exit code ${code}`,
    });
  }

  /** No process could be created for a slot. */
  startFailed(slot: WorkerSlot, reason: string): void {
    count(this.counts, 'fork_failed');
    const exit = { servedMs: undefined, killed: false, startFailed: true };
    this.#replace(slot, exit, {
      event: 'worker_fork_failed',
      message: 'worker failed to start',
      facts: { reason },
      last: reason,
    });
  }

  /** Starts no process any more. */
  cancel(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #replace(slot: WorkerSlot, exit: Omit<WorkerExit, 'at' | 'slot'>, report: ExitReport): void {
    const { workers, everReady, othersServe, start, giveUp, log } = this.#options;
    const { event, message, facts, last } = report;
    const { number } = slot;
    this.#exits = recentExits([...this.#exits, { ...exit, slot: number, at: performance.now() }]);
    const host = { workers, everReady: everReady(), othersServe: othersServe() };
    const decision = decideRestart(this.#exits, host);
    if (decision.kind === 'give up') {
      const { reason: policy } = decision;
      log.fatal({ event: 'restarts_given_up', slot: number, policy, ...facts }, 'giving up');
      giveUp(new Error(`${policy} (last: ${last})`));
      return;
    }
    log.error({ event, slot: number, ...facts, respawnInMs: decision.delayMs }, message);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      start(slot);
    }, decision.delayMs);
    this.#timers.add(timer);
  }
}
