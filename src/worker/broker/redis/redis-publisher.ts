import { setTimeout as pause } from 'node:timers/promises';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { CACHE_TTL_MS } from '../../../shared/model/publication.ts';
import type { Redis } from '../../../shared/redis/client.ts';
import { isReplyError, isStreamClosedError, replyErrorCode } from '../../../shared/redis/errors.ts';
import { waitForPong } from './redis-connection.ts';
import type { RedisEcho } from './redis-echo.ts';
import type { RedisHealth } from './redis-health.ts';
import type { RedisLog } from './redis-log.ts';

/** Default limit of Redis for the unsent bytes of a subscriber (redis.conf, `client-output-buffer-limit`). */
const OUTPUT_BUFFER_MAX_BYTES = 32 * 1024 * 1024;
/** Bytes that Redis adds to a message in that buffer. */
const OUTPUT_BUFFER_OVERHEAD_BYTES = 64 * 1024;
const IN_FLIGHT_MAX_BYTES = 64 * 1024 * 1024;

/** Time in which the primary reports workers that closed their connections when Redis had stalled. */
const STALLED_GRACE_MS = 250;
/**
 * Time in which the primary reports why a worker is missing: a worker that exited needs no delivery, one that lost its
 * connection has missed it.
 */
const MISSING_WORKER_GRACE_MS = 100;

/** Prefix of the keys of cached publications. App keys contain no colon. */
const CACHE_KEY_PREFIX = 'gusher:last:';

export interface RedisPublisherOptions {
  readonly publisher: Redis;
  readonly subscriber: Redis;
  readonly prefix: string;
  /** Returns the number of workers of this host that are connected to the broker. */
  readonly connectedWorkers: () => number;
  readonly echo: RedisEcho;
  readonly health: RedisHealth;
  readonly log: RedisLog;
  /** Returns true while Redis does not answer. */
  readonly isStalled: () => boolean;
  /** Redis replied READONLY: the server is a replica. */
  readonly onReadOnly: () => void;
}

/** Publishes to Redis, and confirms that this worker's own subscriber connection has delivered everything up to that. */
export class RedisPublisher {
  readonly #options: RedisPublisherOptions;
  /** Redis disconnects every subscriber of a larger message, after it has acknowledged the message. */
  #messageMaxBytes = OUTPUT_BUFFER_MAX_BYTES - OUTPUT_BUFFER_OVERHEAD_BYTES;
  #inFlightBytes = 0;
  /** The connection that collects the commands of this turn of the event loop. */
  #corked: Redis['stream'] | undefined;

  constructor(options: RedisPublisherOptions) {
    this.#options = options;
    options.publisher.on('ready', () => void this.#readOutputLimit());
  }

  /** The key of the cached publication of a topic. */
  cacheKey(topic: string): string {
    return this.#options.prefix + CACHE_KEY_PREFIX + topic;
  }

  /** Publishes a message, and caches it if `isCached`. Rejects as `Broker.publish` does. */
  async publish(topic: string, text: string, isCached = false): Promise<void> {
    if (Buffer.byteLength(text) > this.#messageMaxBytes) throw new GusherError('publication_too_large');
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + text.length > IN_FLIGHT_MAX_BYTES) {
      throw new GusherError('broker_busy');
    }
    this.#inFlightBytes += text.length;
    try {
      const { publisher, prefix, health, echo, isStalled } = this.#options;
      const wasStalled = isStalled();
      const name = prefix + topic;
      const isFirst = this.#cork();
      const publishing = isCached ? this.#publishAndCache(topic, text) : publisher.publish(name, text);
      const confirming = health.canEcho ? echo.confirm() : undefined;
      // Behind the callback that sends the echo.
      if (isFirst) setImmediate(this.#uncork);
      await publishing.catch((error: unknown) => {
        throw new GusherError(this.#errorCodeOf(error, name));
      });
      await this.#confirmDelivery(confirming);
      // Redis counts a connection that a worker closed in the meantime, until it has read the end.
      if (wasStalled) await pause(STALLED_GRACE_MS, undefined, { ref: false });
    } finally {
      this.#inFlightBytes -= text.length;
    }
  }

  /**
   * Collects the commands of this turn of the event loop, and sends them in one write together with the echo. Redis
   * then reads all of them at once, and answers them at once. Returns false if this turn collects already.
   */
  #cork(): boolean {
    const { stream } = this.#options.publisher;
    if (this.#corked !== undefined) return false;
    this.#corked = stream;
    stream.cork();
    return true;
  }

  readonly #uncork = (): void => {
    this.#corked?.uncork();
    this.#corked = undefined;
  };

  async #publishAndCache(topic: string, text: string): Promise<void> {
    const { publisher, prefix } = this.#options;
    const transaction = publisher.multi().set(this.cacheKey(topic), text, 'PX', CACHE_TTL_MS);
    const replies = await transaction.publish(prefix + topic, text).exec();
    for (const [error] of replies ?? []) if (error !== null) throw error;
  }

  #errorCodeOf(error: unknown, name: string): 'broker_rejected' | 'broker_unavailable' | 'outcome_unknown' {
    // The command was never written to the connection.
    if (isStreamClosedError(error)) return 'broker_unavailable';
    if (!isReplyError(error)) return 'outcome_unknown';
    this.#options.log.commandRejected('publish', name, error);
    if (replyErrorCode(error) === 'READONLY') this.#options.onReadOnly();
    return 'broker_rejected';
  }

  async #confirmDelivery(confirming: Promise<number | undefined> | undefined): Promise<void> {
    const { health, subscriber } = this.#options;
    try {
      if (confirming !== undefined) return await this.#confirmHost(await confirming);
    } catch (error) {
      if (error instanceof GusherError) throw error;
      if (!isReplyError(error)) throw new GusherError('outcome_unknown');
      if (replyErrorCode(error) === 'NOPERM') health.disableEcho('publish', error);
    }
    // Without an echo: one more round trip, as in `RedisBroker.settle`.
    await waitForPong(subscriber).catch(() => {
      throw new GusherError('outcome_unknown');
    });
  }

  /** Rejects if Redis did not deliver to every connected worker of this host. */
  async #confirmHost(subscribers = Number.POSITIVE_INFINITY): Promise<void> {
    const { connectedWorkers } = this.#options;
    if (subscribers >= connectedWorkers()) return;
    await pause(MISSING_WORKER_GRACE_MS, undefined, { ref: false });
    if (subscribers < connectedWorkers()) throw new GusherError('outcome_unknown');
  }

  async #readOutputLimit(): Promise<void> {
    const reply: unknown = await this.#options.publisher
      .config('GET', 'client-output-buffer-limit')
      .catch(() => undefined);
    const text = Array.isArray(reply) ? String(reply[1]) : '';
    const hardBytes = Number(/pubsub (\d+)/.exec(text)?.[1] ?? OUTPUT_BUFFER_MAX_BYTES);
    const isUnlimited = hardBytes === 0;
    this.#messageMaxBytes = isUnlimited ? Number.POSITIVE_INFINITY : hardBytes - OUTPUT_BUFFER_OVERHEAD_BYTES;
  }
}
