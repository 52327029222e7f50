import { createRedisClient, type Redis, serverIdentityOf } from '../../../shared/redis/client.ts';
import { isReplyError } from '../../../shared/redis/errors.ts';
import type { ServerIdentity } from '../../../shared/redis/server-identity.ts';

/** A connection without an answer for so long is closed. Longer than a command may take, because Redis may pause. */
const SILENCE_TIMEOUT_MS = 4_000;

/** Redis has stalled if a PING is unanswered for so long: longer than a check interval. */
const STALLED_AFTER_MS = 800;

/** One of the two connections to Redis, and the server behind it. */
export class RedisConnection {
  readonly client: Redis;
  /** The master behind this connection; `undefined` while it is unidentified or a replica. */
  server: ServerIdentity | undefined;
  #silentSince: number | undefined;

  constructor(options: { url: string; name: string; onError: (error: Error) => void }) {
    const { url, name, onError } = options;
    this.client = createRedisClient(url, { name, onError });
  }

  /** True while Redis does not answer. Other connections of this host may be about to give up. */
  get isStalled(): boolean {
    return this.#silentSince !== undefined && performance.now() - this.#silentSince > STALLED_AFTER_MS;
  }

  /** Resets what is known of the server, after the connection has closed. */
  reset(): void {
    this.server = undefined;
    this.#silentSince = undefined;
  }

  /** Returns the identity of the server; `undefined` if the connection closed before Redis answered. */
  async identify(): Promise<ServerIdentity | undefined> {
    const { stream } = this.client;
    const server = await serverIdentityOf(this.client);
    return this.client.stream === stream && this.client.status === 'ready' ? server : undefined;
  }

  /**
   * Sends a PING, because a connection can be dead without an error. Returns false if Redis has been silent for too
   * long. `isLate`: this check itself ran late, and an answer may wait to be read.
   */
  checkAlive(now: number, isLate: boolean): boolean {
    if (this.client.status !== 'ready') return true;
    if (isLate && this.#silentSince !== undefined) this.#silentSince = now;
    if (this.#silentSince !== undefined && now - this.#silentSince > SILENCE_TIMEOUT_MS) return false;
    this.#silentSince ??= now;
    waitForPong(this.client).then(
      () => {
        this.#silentSince = undefined;
      },
      () => undefined,
    );
    return true;
  }
}

/**
 * Resolves when Redis has answered a PING. An error reply still proves that the connection works: Redis replies MISCONF
 * when its disk is full, but keeps publishing.
 */
export async function waitForPong(client: Redis): Promise<void> {
  await client.ping().catch((error: unknown) => {
    if (!isReplyError(error)) throw error;
  });
}
