import type { Redis } from '../../shared/redis/client.ts';
import { isReplyError, replyErrorCode } from '../../shared/redis/errors.ts';
import type { RedisEcho } from './redis-echo.ts';

/** Long enough to be there at the next measurement, and gone soon after this worker. */
const KEY_LIFE_MS = 10_000;

export interface RedisHealthOptions {
  readonly publisher: Redis;
  readonly echo: RedisEcho;
  /** A key that is written to learn whether Redis takes writes. */
  readonly key: string;
  /** The ACL refuses a command that only measures. */
  readonly onForbidden: (command: string, name: string, error: Error) => void;
}

/**
 * Measures what publishing needs: a publication comes back to this worker, and Redis takes a write, which presence and
 * cache channels need. A command that the ACL forbids is not measured any more.
 */
export class RedisHealth {
  readonly #options: RedisHealthOptions;
  #canWrite = true;
  #canEcho = true;
  /** What went wrong when it was measured last; `undefined` if nothing did. */
  error: unknown;
  /** From a publication to its arrival here, in ms; `undefined` where it cannot be measured. */
  roundTripMs: number | undefined;

  constructor(options: RedisHealthOptions) {
    this.#options = options;
  }

  /** False: this worker may not publish to its own channel, or subscribe to it. */
  get canEcho(): boolean {
    return this.#canEcho;
  }

  /** The channel of the echo is refused, although other publications are not. */
  forbidEcho(command: string, name: string, error: Error): void {
    if (!this.#canEcho) return;
    this.#canEcho = false;
    this.#options.onForbidden(command, name, error);
  }

  /** For a new connection, whose user may have got other rights. */
  reset(): void {
    this.#canWrite = true;
    this.#canEcho = true;
    this.roundTripMs = undefined;
  }

  /** Never rejects; resolves when Redis has answered, or has not in two seconds. */
  async measure(): Promise<void> {
    const [echo, write] = await Promise.all([this.#measureEcho(), this.#measureWrite()]);
    this.error = echo ?? write;
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
    const { publisher, key, onForbidden } = this.#options;
    try {
      await publisher.set(key, '1', 'PX', KEY_LIFE_MS);
      return undefined;
    } catch (error) {
      if (!isReplyError(error) || replyErrorCode(error) !== 'NOPERM') return error;
      this.#canWrite = false;
      onForbidden('set', key, error);
      return undefined;
    }
  }
}
