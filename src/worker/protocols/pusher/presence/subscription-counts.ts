import { topicOf } from '../../../../shared/model/names.ts';
import type { PresenceEvent } from '../../../../shared/model/presence.ts';
import type { PresenceClient } from '../../../ipc/presence-client.ts';
import { subscriptionCountText } from '../messages.ts';
import type { Announce } from './presence-watch.ts';

/**
 * Up to this many subscribers every change is announced, after a burst of `SMALL_BURST` at most one per
 * `SMALL_INTERVAL_MS`. Attack: a client that subscribes and unsubscribes as fast as it can. Beyond, one per
 * `LARGE_INTERVAL_MS`.
 */
const SMALL_MAX = 100;
const SMALL_BURST = 20;
const SMALL_INTERVAL_MS = 250;
const LARGE_INTERVAL_MS = 5_000;
const TICK_MS = 500;

interface Counted {
  readonly app: string;
  readonly channel: string;
  count: number;
  sentAt: number;
  /** When the announcements so far fit the rate (`performance.now()`). */
  paidAt: number;
  sentCount: number;
}

/** Announces the number of subscribers of a channel, for apps with `subscription_count`. */
export class SubscriptionCounts {
  readonly #presence: Pick<PresenceClient, 'subscribe' | 'unsubscribe'>;
  readonly #announce: Announce;
  readonly #counted = new Map<string, Counted>();
  readonly #delayed = new Set<Counted>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { presence: Pick<PresenceClient, 'subscribe' | 'unsubscribe'>; announce: Announce }) {
    this.#presence = options.presence;
    this.#announce = options.announce;
  }

  /** Starts counting a channel, unless it is counted already. */
  enter(app: string, channel: string): void {
    const topic = topicOf(app, channel);
    if (this.#counted.has(topic)) return;
    const counted = { app, channel, count: 0, sentAt: Number.NEGATIVE_INFINITY, paidAt: 0, sentCount: -1 };
    this.#counted.set(topic, counted);
    this.#presence.subscribe<'channel'>({ kind: 'channel', app, channel }, (answer) => {
      if (this.#counted.get(topic) !== counted) return;
      // The presence registry is busy: the next subscriber starts counting again.
      if (answer instanceof Error) this.#counted.delete(topic);
      else this.#update(counted, answer.subscriptions);
    });
  }

  /** Stops counting, after the last local subscriber has left. */
  leave(app: string, channel: string): void {
    const topic = topicOf(app, channel);
    const counted = this.#counted.get(topic);
    if (counted === undefined) return;
    this.#counted.delete(topic);
    this.#delayed.delete(counted);
    this.#presence.unsubscribe({ kind: 'channel', app, channel });
  }

  handleEvent({ app, channel, subscriptions }: Extract<PresenceEvent, { kind: 'counted' }>): void {
    const counted = this.#counted.get(topicOf(app, channel));
    if (counted !== undefined) this.#update(counted, subscriptions);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #update(counted: Counted, count: number): void {
    counted.count = count;
    if (this.#isDue(counted)) this.#send(counted);
    else {
      this.#delayed.add(counted);
      this.#timer ??= setInterval(this.#sendDelayed, TICK_MS).unref();
    }
  }

  #isDue({ count, sentAt, paidAt }: Counted): boolean {
    const now = performance.now();
    if (count > SMALL_MAX) return now - sentAt >= LARGE_INTERVAL_MS;
    return paidAt - now <= SMALL_BURST * SMALL_INTERVAL_MS;
  }

  #send(counted: Counted): void {
    this.#delayed.delete(counted);
    if (counted.count === counted.sentCount) return;
    counted.sentAt = performance.now();
    counted.paidAt = Math.max(counted.sentAt, counted.paidAt) + SMALL_INTERVAL_MS;
    counted.sentCount = counted.count;
    this.#announce(counted.app, counted.channel, subscriptionCountText(counted.channel, counted.count));
  }

  readonly #sendDelayed = (): void => {
    for (const counted of this.#delayed) if (this.#isDue(counted)) this.#send(counted);
  };
}
