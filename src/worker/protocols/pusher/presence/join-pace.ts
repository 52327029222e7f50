import { setTimeout as pause } from 'node:timers/promises';
import { GusherError } from '../../../../shared/errors/catalogue.ts';
import type { Connection } from '../../../connection/connection.ts';

/** Joins that a client or a channel may save up: all channels of a client that connects, all members of a channel. */
const CLIENT_BURST = 100;
const CHANNEL_BURST = 10_000;
const LONGEST_WAIT_MS = 5_000;
/** Attack: channels without end, each of which would be remembered. */
const CHANNELS_MAX = 10_000;

/**
 * Attack: a member that joins and leaves as fast as it can, of which every other member is informed. Joins of presence
 * channels are paced, for each client and for each channel on this worker: they wait, and with them all that the client
 * sends after them. A join that would wait for too long is refused.
 */
export class JoinPace {
  readonly #clientGapMs: number;
  readonly #channelGapMs: number;
  /** When the joins of a channel that came so far are paid for, in ms of `performance.now()`; the oldest first. */
  readonly #channels = new Map<string, number>();

  constructor(options: { perClientPerSecond: number; perChannelPerSecond: number }) {
    this.#clientGapMs = 1_000 / options.perClientPerSecond;
    this.#channelGapMs = 1_000 / options.perChannelPerSecond;
  }

  /** `undefined` where nothing has to be waited for. Rejects with `too_many_joins`. */
  wait(connection: Connection, topic: string): Promise<void> | undefined {
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
