import { setTimeout as pause } from 'node:timers/promises';
import { GusherError } from '../../shared/errors/catalogue.ts';

/** What the pace keeps of a connection. */
interface Joiner {
  /** When its joins so far fit the rate (`performance.now()`). */
  joinsPaidAt: number;
}

/** Burst sizes: a client that connects joins all of its channels, and a channel may regain all of its members. */
const CLIENT_BURST = 100;
const CHANNEL_BURST = 10_000;
const LONGEST_WAIT_MS = 5_000;
/** Attack: joins to channels without end, each of which takes memory. */
const CHANNELS_MAX = 10_000;

/**
 * Limits the rate of joins to presence channels, for each client and for each channel on this worker. Attack: a member
 * that joins and leaves as fast as it can, which sends messages to all other members. A join beyond the rate waits, and
 * delays all later commands of its client. A join that would wait too long is rejected.
 */
export class JoinPace {
  readonly #clientGapMs: number;
  readonly #channelGapMs: number;
  /** By topic: when the joins so far fit the rate (`performance.now()`). The least recently used topic is first. */
  readonly #channels = new Map<string, number>();

  constructor(options: { perClientPerSecond: number; perChannelPerSecond: number }) {
    this.#clientGapMs = 1_000 / options.perClientPerSecond;
    this.#channelGapMs = 1_000 / options.perChannelPerSecond;
  }

  /** Resolves when the client may join; `undefined` if it need not wait. Rejects with `too_many_joins`. */
  wait(connection: Joiner, topic: string): Promise<void> | undefined {
    const now = performance.now();
    const client = Math.max(now, connection.joinsPaidAt) + this.#clientGapMs;
    const channel = Math.max(now, this.#channels.get(topic) ?? 0) + this.#channelGapMs;
    const waitMs = Math.max(
      client - now - CLIENT_BURST * this.#clientGapMs,
      channel - now - CHANNEL_BURST * this.#channelGapMs,
    );
    if (waitMs > LONGEST_WAIT_MS) return Promise.reject(new GusherError('too_many_joins'));
    connection.joinsPaidAt = client;
    this.#remember(topic, channel);
    return waitMs > 0 ? pause(waitMs) : undefined;
  }

  #remember(topic: string, paidAt: number): void {
    this.#channels.delete(topic);
    this.#channels.set(topic, paidAt);
    const [oldest] = this.#channels.keys();
    if (this.#channels.size > CHANNELS_MAX && oldest !== undefined) this.#channels.delete(oldest);
  }
}
