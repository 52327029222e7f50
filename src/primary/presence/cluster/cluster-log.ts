import type { Logger } from '../../../shared/logging/log.ts';
import { describeRedisError, explainRedisError, refusedCommand } from '../../../shared/redis/errors.ts';

/** A shorter interruption of the connection is not logged. */
const DISCONNECTED_AFTER_MS = 2_000;
/** Longer than a heartbeat, so that a Redis that accepts some commands does not cause a line for each. */
const RESTORED_AFTER_MS = 3_000;

/** What concerns the exchange with other hosts now. */
export interface ClusterProblems {
  readonly isLive: boolean;
  /** The last connection error, or the error reply to SUBSCRIBE. */
  readonly connectionError: unknown;
  /** The error replies to the last write of this host and to the last reading of another one. */
  readonly writeError: Error | undefined;
  readonly readError: Error | undefined;
}

/** Logs when presence stops being exchanged with the other hosts and why, and when it is exchanged again. */
export class ClusterLog {
  readonly #log: Logger;
  readonly #onProblem: (reason: string | undefined) => void;
  #lastLiveAt = performance.now();
  #connection: 'up' | 'lost' = 'up';
  readonly #writes = new CommandState();
  readonly #reads = new CommandState();
  #problem: string | undefined;

  /** `onProblem` receives each new reason why presence is not exchanged, and `undefined` when it is again. */
  constructor(options: { log: Logger; onProblem: (reason: string | undefined) => void }) {
    this.#log = options.log;
    this.#onProblem = options.onProblem;
  }

  connected(): void {
    if (this.#connection === 'lost')
      this.#log.info({ event: 'cluster_connection_restored' }, 'cluster connection restored');
    this.#connection = 'up';
  }

  /** Call it periodically. */
  update(problems: ClusterProblems, now: number): void {
    this.#updateConnection(problems, now);
    this.#updateWrites(problems.writeError, now);
    this.#updateReads(problems.readError, now);
    const lost = this.#connection === 'lost' ? explainRedisError(problems.connectionError) : undefined;
    const problem = lost ?? this.#writes.explanation ?? this.#reads.explanation;
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#onProblem(problem);
  }

  #updateConnection({ isLive, connectionError }: ClusterProblems, now: number): void {
    if (isLive) this.#lastLiveAt = now;
    else if (this.#connection === 'up' && now - this.#lastLiveAt > DISCONNECTED_AFTER_MS) {
      this.#connection = 'lost';
      const facts = { event: 'cluster_connection_lost', ...factsOf(connectionError) };
      this.#log.warn(facts, 'cluster connection lost');
    }
  }

  #updateWrites(error: Error | undefined, now: number): void {
    switch (this.#writes.update(error, now)) {
      case 'failed':
        this.#log.warn(
          { event: 'presence_write_failed', ...factsOf(error) },
          'cannot write presence to Redis',
        );
        break;
      case 'restored':
        this.#log.info({ event: 'presence_write_restored' }, 'presence writes to Redis restored');
        break;
      default:
    }
  }

  #updateReads(error: Error | undefined, now: number): void {
    switch (this.#reads.update(error, now)) {
      case 'failed':
        this.#log.warn(
          { event: 'presence_read_failed', ...factsOf(error) },
          'cannot read presence of another host from Redis',
        );
        break;
      case 'restored':
        this.#log.info({ event: 'presence_read_restored' }, 'presence of other hosts can be read again');
        break;
      default:
    }
  }
}

/** Whether one kind of commands fails. */
class CommandState {
  /** The error that was reported last; `undefined` if the commands work. */
  explanation: string | undefined;
  #reason: string | undefined;
  #lastErrorAt = 0;

  /** Returns what to log. A new reason counts as a new failure. */
  update(error: Error | undefined, now: number): 'failed' | 'restored' | undefined {
    if (error !== undefined) {
      const reason = describeRedisError(error);
      this.#lastErrorAt = now;
      if (reason === this.#reason) return undefined;
      this.#reason = reason;
      this.explanation = explainRedisError(error);
      return 'failed';
    }
    if (this.#reason === undefined || now - this.#lastErrorAt <= RESTORED_AFTER_MS) return undefined;
    this.#reason = undefined;
    this.explanation = undefined;
    return 'restored';
  }
}

/** Problem and fix; of an error reply also the command, its key or channel, and the reply. */
function factsOf(error: unknown): { reason: string; command?: string; name?: string; reply?: string } {
  return { reason: describeRedisError(error), ...refusedCommand(error) };
}
