import { GusherError } from '../../shared/errors/catalogue.ts';
import type { Redis } from '../../shared/redis/client.ts';
import { isReplyError } from '../../shared/redis/errors.ts';

/** Topics in one SUBSCRIBE: large enough to be few, small enough not to keep Redis busy with one. */
const TOPICS_PER_COMMAND = 500;

/** A caller that waits until its subscription is in effect. */
interface Waiting {
  readonly topic: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  isRefused: boolean;
}

export interface RedisSubscriptionsOptions {
  readonly client: Redis;
  readonly prefix: string;
  /** Redis refused the subscription to this one topic, which is not wanted any more. */
  readonly onRefused: (topic: string, error: Error) => void;
  /** Redis did not answer: the connection is in doubt. */
  readonly onUnanswered: (error: unknown) => void;
}

/**
 * Keeps what one connection is subscribed to in line with the topics that this worker wants: one flush per turn of the
 * event loop, and everything again for a new connection.
 */
export class RedisSubscriptions {
  readonly #options: RedisSubscriptionsOptions;
  readonly #wanted = new Set<string>();
  /** What the present connection was asked for. */
  readonly #asked = new Set<string>();
  readonly #changed = new Set<string>();
  #waiting: Waiting[] = [];
  /** Of flushes that Redis has not answered. */
  readonly #flushing = new Set<readonly Waiting[]>();
  #flushScheduled = false;

  constructor(options: RedisSubscriptionsOptions) {
    this.#options = options;
  }

  has(topic: string): boolean {
    return this.#wanted.has(topic);
  }

  /** Subscribes with the next flush or, without a connection, when there is one. */
  add(topic: string): void {
    this.#wanted.add(topic);
    this.#change(topic);
  }

  /** As `add`. Resolves when Redis has answered; rejects with `subscription_refused`. */
  addAndWait(topic: string): Promise<void> {
    this.add(topic);
    return new Promise((resolve, reject) => this.#waiting.push({ topic, resolve, reject, isRefused: false }));
  }

  delete(topic: string): void {
    this.#wanted.delete(topic);
    this.#change(topic);
  }

  /** The connection is closed, and with it all its subscriptions. */
  reset(): void {
    this.#asked.clear();
  }

  /** Callers wait no longer: their subscriptions are made when there is a connection. */
  release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve } of waiting) resolve();
  }

  /**
   * Subscribes a new connection to everything that is wanted. Rejects if Redis does not answer. One command after
   * another: of very many that are sent at once the last are answered too late.
   */
  async subscribeToAll(): Promise<void> {
    this.#asked.clear();
    for (const topics of batches([...this.#wanted])) {
      await this.#subscribe(topics.filter((topic) => this.#wanted.has(topic)));
    }
  }

  /** Sends what has changed since the last flush. */
  async flush(): Promise<void> {
    this.#flushScheduled = false;
    const changed = [...this.#changed];
    this.#changed.clear();
    // Without a connection there is nothing to do: the next one is asked for everything.
    if (this.#options.client.status !== 'ready') return this.release();
    const waiting = this.#waiting;
    this.#waiting = [];
    const added = changed.filter((topic) => this.#wanted.has(topic) && !this.#asked.has(topic));
    const removed = changed.filter((topic) => !this.#wanted.has(topic) && this.#asked.has(topic));
    // Redis answers in order: an answer to the last command is one to those of earlier turns too.
    const commands: Promise<unknown>[] = [
      ...batches(removed).map((topics) => this.#unsubscribe(topics)),
      ...batches(added).map((topics) => this.#subscribe(topics)),
    ];
    if (commands.length === 0 && waiting.length > 0) commands.push(pinged(this.#options.client));
    this.#flushing.add(waiting);
    await Promise.all(commands).catch(this.#options.onUnanswered);
    this.#flushing.delete(waiting);
    for (const { isRefused, resolve, reject } of waiting) {
      if (isRefused) reject(new GusherError('subscription_refused'));
      else resolve();
    }
  }

  #change(topic: string): void {
    this.#changed.add(topic);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => void this.flush());
  }

  /** Redis refuses a command as a whole; so each topic of a refused one is asked for alone. */
  async #subscribe(topics: readonly string[]): Promise<void> {
    const [first] = topics;
    if (first === undefined) return;
    for (const topic of topics) this.#asked.add(topic);
    try {
      await this.#options.client.subscribe(...this.#names(topics));
    } catch (error) {
      if (!isReplyError(error)) throw error;
      if (topics.length === 1) this.#reject(first, error);
      else await Promise.all(topics.map((topic) => this.#wanted.has(topic) && this.#subscribe([topic])));
    }
  }

  #reject(topic: string, error: Error): void {
    this.#asked.delete(topic);
    for (const waiting of [this.#waiting, ...this.#flushing]) {
      for (const one of waiting) if (one.topic === topic) one.isRefused = true;
    }
    if (this.#wanted.delete(topic)) this.#options.onRefused(topic, error);
  }

  async #unsubscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) this.#asked.delete(topic);
    await this.#options.client.unsubscribe(...this.#names(topics)).catch((error: unknown) => {
      // What Redis does not end goes on arriving, and is ignored.
      if (!isReplyError(error)) throw error;
    });
  }

  #names(topics: readonly string[]): string[] {
    return topics.map((topic) => this.#options.prefix + topic);
  }
}

function batches(topics: readonly string[]): string[][] {
  const found: string[][] = [];
  for (let at = 0; at < topics.length; at += TOPICS_PER_COMMAND) {
    found.push(topics.slice(at, at + TOPICS_PER_COMMAND));
  }
  return found;
}

/**
 * Resolves when Redis has answered a PING. An error reply still proves that the connection works: Redis replies MISCONF
 * when its disk is full, but keeps publishing.
 */
export async function pinged(client: Redis): Promise<void> {
  await client.ping().catch((error: unknown) => {
    if (!isReplyError(error)) throw error;
  });
}
