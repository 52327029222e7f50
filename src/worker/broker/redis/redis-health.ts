import type { Redis } from '../../../shared/redis/client.ts';
import { isReplyError, replyErrorCode } from '../../../shared/redis/errors.ts';
import type { RedisEcho } from './redis-echo.ts';
import type { RedisLog } from './redis-log.ts';

/** Longer than the interval of measurements, short enough to expire soon after this worker exits. */
const KEY_TTL_MS = 10_000;
const HEALTH_KEY = 'gusher:health';

export interface RedisHealthOptions {
  readonly publisher: Redis;
  readonly echo: RedisEcho;
  readonly prefix: string;
  readonly log: RedisLog;
}

/**
 * Measures whether publishing works: an echo returns to this worker, and Redis accepts a write, which presence and cache
 * channels need. A command that the ACL forbids is not measured again on this connection.
 */
export class RedisHealth {
  /** The key that this worker writes to test writes. */
  readonly key: string;
  readonly #options: RedisHealthOptions;
  #canWrite = true;
  #canEcho = true;
  /** The error of the latest measurement. */
  error: unknown;
  /** Time from publication to delivery here, in ms; `undefined` if it cannot be measured. */
  roundTripMs: number | undefined;

  constructor(options: RedisHealthOptions) {
    this.#options = options;
    this.key = options.prefix + HEALTH_KEY;
  }

  /** False if the ACL forbids this worker to publish or subscribe to its echo topic. */
  get canEcho(): boolean {
    return this.#canEcho;
  }

  /** Stops echoes, because the ACL forbids `command` on the echo topic. */
  disableEcho(command: string, error: Error): void {
    if (!this.#canEcho) return;
    this.#canEcho = false;
    const { log, prefix, echo } = this.#options;
    log.commandRefused(command, prefix + echo.topic, error);
  }

  /** Measures everything again, because the user of a new connection may have other rights. */
  reset(): void {
    this.#canWrite = true;
    this.#canEcho = true;
    this.roundTripMs = undefined;
  }

  /** Never rejects; takes two seconds at most. */
  async measure(): Promise<void> {
    const [echoError, writeError] = await Promise.all([this.#measureEcho(), this.#measureWrite()]);
    this.error = echoError ?? writeError;
  }

  async #measureEcho(): Promise<unknown> {
    if (!this.#canEcho) return undefined;
    const sentAt = performance.now();
    try {
      await this.#options.echo.confirm();
      this.roundTripMs = performance.now() - sentAt;
      return undefined;
    } catch (error) {
      this.roundTripMs = undefined;
      return error;
    }
  }

  async #measureWrite(): Promise<unknown> {
    if (!this.#canWrite) return undefined;
    try {
      await this.#options.publisher.set(this.key, '1', 'PX', KEY_TTL_MS);
      return undefined;
    } catch (error) {
      if (!isReplyError(error) || replyErrorCode(error) !== 'NOPERM') return error;
      this.#canWrite = false;
      this.#options.log.commandRefused('set', this.key, error);
      return undefined;
    }
  }
}
