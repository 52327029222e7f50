import { GusherError } from '../../../shared/errors/catalogue.ts';
import type { Redis } from '../../../shared/redis/client.ts';
import { isReplyError } from '../../../shared/redis/errors.ts';
import { waitForPong } from './redis-connection.ts';

/** Topics in one SUBSCRIBE: few commands, none of which occupies Redis for long. */
const TOPICS_PER_COMMAND = 500;

/** A subscription that Redis has not answered. */
interface PendingSubscription {
  readonly topic: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  isRejected: boolean;
}

export interface RedisSubscriptionsOptions {
  readonly client: Redis;
  readonly prefix: string;
  /** Redis rejected the subscription to this topic, and the topic was removed. */
  readonly onRejected: (topic: string, error: Error) => void;
  /** Redis did not answer: the connection may be dead. */
  readonly onUnanswered: (error: unknown) => void;
}

/**
 * Subscribes one connection to the topics that this worker wants: changes once per turn of the event loop, and all
 * topics again on a new connection.
 */
export class RedisSubscriptions {
  readonly #options: RedisSubscriptionsOptions;
  readonly #wanted = new Set<string>();
  /** Topics that the current connection has requested. */
  readonly #requested = new Set<string>();
  readonly #changed = new Set<string>();
  #pending: PendingSubscription[] = [];
  /** Pending subscriptions of each flush that Redis has not answered. */
  readonly #flushing = new Set<readonly PendingSubscription[]>();
  #isFlushScheduled = false;

  constructor(options: RedisSubscriptionsOptions) {
    this.#options = options;
  }

  has(topic: string): boolean {
    return this.#wanted.has(topic);
  }

  /** Subscribes with the next flush or, while disconnected, on reconnect. */
  add(topic: string): void {
    this.#wanted.add(topic);
    this.#scheduleFlush(topic);
  }

  /** As `add`. Resolves when Redis has answered; rejects with `subscription_rejected`. */
  addAndWait(topic: string): Promise<void> {
    this.add(topic);
    return new Promise((resolve, reject) =>
      this.#pending.push({ topic, resolve, reject, isRejected: false }),
    );
  }

  delete(topic: string): void {
    this.#wanted.delete(topic);
    this.#scheduleFlush(topic);
  }

  /** Call when the connection has closed, and its subscriptions with it. */
  reset(): void {
    this.#requested.clear();
  }

  /** Resolves pending subscriptions, which take effect on reconnect. */
  release(): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const { resolve } of pending) resolve();
  }

  /**
   * Subscribes a new connection to all wanted topics. Rejects if Redis does not answer. Sends one command after another,
   * because the last of many commands would time out.
   */
  async subscribeToAll(): Promise<void> {
    this.#requested.clear();
    for (const topics of batches([...this.#wanted])) {
      await this.#subscribe(topics.filter((topic) => this.#wanted.has(topic)));
    }
  }

  /** Sends the changes since the last flush. */
  async flush(): Promise<void> {
    this.#isFlushScheduled = false;
    const changed = [...this.#changed];
    this.#changed.clear();
    // A new connection subscribes to everything on its own.
    if (this.#options.client.status !== 'ready') return this.release();
    const pending = this.#pending;
    this.#pending = [];
    const added = changed.filter((topic) => this.#wanted.has(topic) && !this.#requested.has(topic));
    const removed = changed.filter((topic) => !this.#wanted.has(topic) && this.#requested.has(topic));
    // Redis answers in order: a reply to the last command confirms those of earlier turns.
    const commands: Promise<unknown>[] = [
      ...batches(removed).map((topics) => this.#unsubscribe(topics)),
      ...batches(added).map((topics) => this.#subscribe(topics)),
    ];
    if (commands.length === 0 && pending.length > 0) commands.push(waitForPong(this.#options.client));
    this.#flushing.add(pending);
    await Promise.all(commands).catch(this.#options.onUnanswered);
    this.#flushing.delete(pending);
    for (const { isRejected, resolve, reject } of pending) {
      if (isRejected) reject(new GusherError('subscription_rejected'));
      else resolve();
    }
  }

  #scheduleFlush(topic: string): void {
    this.#changed.add(topic);
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(() => void this.flush());
  }

  /** Redis rejects a command as a whole; each topic of a rejected command is then requested alone. */
  async #subscribe(topics: readonly string[]): Promise<void> {
    const [first] = topics;
    if (first === undefined) return;
    for (const topic of topics) this.#requested.add(topic);
    try {
      await this.#options.client.subscribe(...this.#channelsOf(topics));
    } catch (error) {
      if (!isReplyError(error)) throw error;
      if (topics.length === 1) this.#reject(first, error);
      else await Promise.all(topics.map((topic) => this.#wanted.has(topic) && this.#subscribe([topic])));
    }
  }

  #reject(topic: string, error: Error): void {
    this.#requested.delete(topic);
    for (const pending of [this.#pending, ...this.#flushing]) {
      for (const subscription of pending) if (subscription.topic === topic) subscription.isRejected = true;
    }
    if (this.#wanted.delete(topic)) this.#options.onRejected(topic, error);
  }

  async #unsubscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) this.#requested.delete(topic);
    await this.#options.client.unsubscribe(...this.#channelsOf(topics)).catch((error: unknown) => {
      // Messages of a topic that Redis keeps are ignored on arrival.
      if (!isReplyError(error)) throw error;
    });
  }

  #channelsOf(topics: readonly string[]): string[] {
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
