import { topicOf } from '../../../../shared/model/names.ts';
import type { RosterEvent } from '../../../../shared/model/presence.ts';
import type { RosterClient } from '../../../ipc/presence-client.ts';
import { subscriptionCountText } from '../messages.ts';
import type { Announce } from './presence-watch.ts';

/** Up to so many subscribers every change is told; beyond, some of them. */
const SMALL = 100;
const LARGE_INTERVAL_MS = 5_000;
const TICK_MS = 500;

interface Counted {
  readonly app: string;
  readonly channel: string;
  count: number;
  toldAt: number;
  toldCount: number;
}

/** Tells clients how many are subscribed to their channels, where the app wants that. */
export class SubscriptionCounts {
  readonly #roster: Pick<RosterClient, 'watch' | 'unwatch'>;
  readonly #announce: Announce;
  readonly #counted = new Map<string, Counted>();
  readonly #late = new Set<Counted>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { roster: Pick<RosterClient, 'watch' | 'unwatch'>; announce: Announce }) {
    this.#roster = options.roster;
    this.#announce = options.announce;
  }

  /** Somebody has subscribed. Whoever comes later is heard of by the change it makes. */
  enter(app: string, channel: string): void {
    const topic = topicOf(app, channel);
    if (this.#counted.has(topic)) return;
    const counted = { app, channel, count: 0, toldAt: Number.NEGATIVE_INFINITY, toldCount: -1 };
    this.#counted.set(topic, counted);
    this.#roster.watch<'channel'>({ kind: 'channel', app, channel }, (answer) => {
      if (this.#counted.get(topic) !== counted) return;
      // The roster has no time: nothing is told until somebody subscribes again.
      if (answer instanceof Error) this.#counted.delete(topic);
      else this.#take(counted, answer.subscriptions);
    });
  }

  /** Nobody is subscribed any more. */
  leave(app: string, channel: string): void {
    const topic = topicOf(app, channel);
    const counted = this.#counted.get(topic);
    if (counted === undefined) return;
    this.#counted.delete(topic);
    this.#late.delete(counted);
    this.#roster.unwatch({ kind: 'channel', app, channel });
  }

  handleEvent({ app, channel, subscriptions }: Extract<RosterEvent, { kind: 'counted' }>): void {
    const counted = this.#counted.get(topicOf(app, channel));
    if (counted !== undefined) this.#take(counted, subscriptions);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #take(counted: Counted, count: number): void {
    counted.count = count;
    if (this.#isDue(counted)) this.#tell(counted);
    else {
      this.#late.add(counted);
      this.#timer ??= setInterval(this.#tellLate, TICK_MS).unref();
    }
  }

  #isDue({ count, toldAt }: Counted): boolean {
    return count <= SMALL || performance.now() - toldAt >= LARGE_INTERVAL_MS;
  }

  #tell(counted: Counted): void {
    this.#late.delete(counted);
    if (counted.count === counted.toldCount) return;
    counted.toldAt = performance.now();
    counted.toldCount = counted.count;
    this.#announce(counted.app, counted.channel, subscriptionCountText(counted.channel, counted.count));
  }

  readonly #tellLate = (): void => {
    for (const counted of this.#late) if (this.#isDue(counted)) this.#tell(counted);
  };
}
