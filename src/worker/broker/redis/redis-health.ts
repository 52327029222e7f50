import type { Redis } from '../../../shared/redis/client.ts';
import {
  describeRedisError,
  isReplyError,
  redisReply,
  replyErrorCode,
} from '../../../shared/redis/errors.ts';
import type { RedisEcho } from './redis-echo.ts';
import type { RedisLog } from './redis-log.ts';

/** Longer than the interval of measurements, short enough to expire soon after this worker exits. */
const KEY_TTL_MS = 10_000;
const HEALTH_KEY = 'gusher:health';
/** An ACL that forbids the command itself, and not only the channel of the echo. */
const FORBIDDEN_COMMAND = /\bcommand\b/;

export interface RedisHealthOptions {
  readonly publisher: Redis;
  readonly echo: RedisEcho;
  readonly prefix: string;
  readonly log: RedisLog;
}

/** A command that failed, and the channel or key that it named. */
interface HealthProblem {
  readonly command: string;
  readonly name: string;
  readonly error: Error;
}

/**
 * Measures whether publishing works: an echo returns to this worker, and Redis accepts the writes that presence, apps and
 * cache channels need. An ACL may forbid the echo topic: then publications are confirmed without an echo.
 */
export class RedisHealth {
  /** The key that this worker writes to test writes. */
  readonly #key: string;
  readonly #options: RedisHealthOptions;
  #canEcho = true;
  #problem: HealthProblem | undefined;
  #roundTripMs: number | undefined;
  #measuredAt: number | undefined;

  constructor(options: RedisHealthOptions) {
    this.#options = options;
    this.#key = options.prefix + HEALTH_KEY;
  }

  /** False if the ACL forbids this worker to publish or subscribe to its echo topic. */
  get canEcho(): boolean {
    return this.#canEcho;
  }

  /** The error of the latest measurement. */
  get error(): Error | undefined {
    return this.#problem?.error;
  }

  /** The error of the latest measurement, with its fix; an error reply also with the command and what it named. */
  get reason(): string | undefined {
    if (this.#problem === undefined) return undefined;
    const { command, name, error } = this.#problem;
    const reply = redisReply(error);
    return describeRedisError(error) + (reply === undefined ? '' : ` (${command} ${name}: ${reply})`);
  }

  /** Time from publication to delivery here, in ms; `undefined` if it cannot be measured. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** When the latest measurement ended, in ms of `performance.now()`. */
  get measuredAt(): number | undefined {
    return this.#measuredAt;
  }

  /** Stops echoes, because the ACL forbids `command` on the echo topic. */
  disableEcho(command: string, error: Error): void {
    if (!this.#canEcho) return;
    this.#canEcho = false;
    this.#options.log.commandRejected(command, this.#echoChannel, error);
  }

  /** Measures everything again, because the user of a new connection may have other rights. */
  reset(): void {
    this.#canEcho = true;
    this.#roundTripMs = undefined;
  }

  /** Never rejects; takes two seconds at most. Logs a new error reply. */
  async measure(): Promise<void> {
    const [echoProblem, writeProblem] = await Promise.all([this.#measureEcho(), this.#measureWrites()]);
    const problem = echoProblem ?? writeProblem;
    this.#problem = problem;
    this.#measuredAt = performance.now();
    if (problem === undefined || !isReplyError(problem.error) || replyErrorCode(problem.error) === 'READONLY')
      return;
    this.#options.log.commandRejected(problem.command, problem.name, problem.error);
  }

  get #echoChannel(): string {
    return this.#options.prefix + this.#options.echo.topic;
  }

  async #measureEcho(): Promise<HealthProblem | undefined> {
    if (!this.#canEcho) return this.#measurePublish();
    const sentAt = performance.now();
    try {
      await this.#options.echo.confirm();
      this.#roundTripMs = performance.now() - sentAt;
      return undefined;
    } catch (error) {
      this.#roundTripMs = undefined;
      return { command: 'publish', name: this.#echoChannel, error: error as Error };
    }
  }

  /** Without an echo: publishes to a channel without subscribers. The ACL may forbid that channel, but not the command. */
  async #measurePublish(): Promise<HealthProblem | undefined> {
    const name = this.#echoChannel;
    try {
      await this.#options.publisher.publish(name, '');
      return undefined;
    } catch (error) {
      const isChannel =
        replyErrorCode(error) === 'NOPERM' && !FORBIDDEN_COMMAND.test((error as Error).message);
      return isChannel ? undefined : { command: 'publish', name, error: error as Error };
    }
  }

  /** Executes the writes of presence and of the app store on one key, in a transaction that leaves only that key. */
  async #measureWrites(): Promise<HealthProblem | undefined> {
    const key = this.#key;
    const writes = this.#options.publisher.multi().del(key).hset(key, 'worker', '1').hdel(key, 'worker');
    try {
      const replies = (await writes.set(key, '1', 'PX', KEY_TTL_MS).exec()) ?? [];
      for (const [error] of replies) if (error !== null) throw error;
      return undefined;
    } catch (error) {
      return { command: 'multi del hset hdel set', name: key, error: error as Error };
    }
  }
}
