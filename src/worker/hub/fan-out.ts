import type { Publication } from '../../shared/model/publication.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Channel, SubscriberGroup } from '../connection/channel.ts';
import type { Connection } from '../connection/connection.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import { type Frames, frameText } from '../websocket/frame.ts';
import { DeliveryRing } from './delivery-ring.ts';

/** Writes per turn, 2 to 7 µs each: a fan-out delays other work of this worker by at most 1 ms. */
const WRITES_PER_TURN = 128;
/** Writes before the next group is served, so that a small channel never waits for a large one. */
const WRITES_PER_SHARE = 64;

type Group = SubscriberGroup<Connection>;

/**
 * Delivers publications to the subscribers of a channel, in order per channel. Frames a publication once per protocol.
 * All publications of one turn of the event loop leave in one write per client. A publication that arrives during the
 * delivery to a large group joins that delivery (`DeliveryRing`). A subscriber that enters during a delivery receives
 * everything published afterwards, and possibly what is in progress.
 */
export class FanOut {
  readonly #sendQueue: SendQueue;
  readonly #stats: Stats;
  readonly #scheduleFlush: () => void;
  /** The groups with deliveries in progress, in serving order. */
  readonly #rings = new Map<Group, DeliveryRing<Connection>>();

  constructor(options: { sendQueue: SendQueue; stats: Stats; scheduleFlush: () => void }) {
    this.#sendQueue = options.sendQueue;
    this.#stats = options.stats;
    this.#scheduleFlush = options.scheduleFlush;
  }

  /** Whether every publication was written or enqueued for all of its subscribers. */
  get isIdle(): boolean {
    return this.#rings.size === 0;
  }

  /** Delivers a publication to every subscriber of the channel but `except`. */
  publish(channel: Channel<Connection>, publication: Publication, except?: Connection): void {
    for (const group of channel.groups) {
      if (group.isPending) continue;
      const isExcluding = except !== undefined && group.connections.has(except);
      this.#add(group, frameText(group.protocol.encode(publication)), isExcluding ? except : undefined);
    }
    this.#scheduleFlush();
  }

  /** Delivers a text that is not a publication to one group, in order with publications. */
  announce(group: Group, text: string): void {
    this.#add(group, frameText(text));
    this.#scheduleFlush();
  }

  /** Adds a subscriber to deliveries from now on. */
  enter(group: Group, connection: Connection): void {
    this.#rings.get(group)?.enter(connection);
  }

  /** Adds a subscriber to deliveries from now on, and excludes it from everything published before. */
  enterFromNow(group: Group, connection: Connection): void {
    const ring = this.#rings.get(group);
    ring?.skip(connection);
    ring?.enter(connection);
  }

  /** Removes a subscriber from all deliveries. */
  leave(group: Group, connection: Connection): void {
    this.#rings.get(group)?.leave(connection);
  }

  #add(group: Group, frames: Frames, except?: Connection): void {
    let ring = this.#rings.get(group);
    if (ring === undefined) {
      ring = new DeliveryRing(group.connections);
      this.#rings.set(group, ring);
    }
    ring.add(frames, except);
  }

  /** Writes for one turn: a share for each group, round robin. The rest continues in the next turn. */
  readonly flush = (): void => {
    let writes = WRITES_PER_TURN;
    for (const [group, ring] of this.#rings) {
      // With several groups, frames are enqueued: the send queue joins those of a client of several channels.
      const isAlone = this.#rings.size === 1;
      const { slots, deliveries } = ring.advance(
        Math.min(writes, WRITES_PER_SHARE),
        this.#sendQueue,
        isAlone,
      );
      writes -= slots;
      this.#stats.deliveries += deliveries;
      // A map iterates over entries added during the loop: the group is served again after all others.
      this.#rings.delete(group);
      if (!ring.isEmpty) this.#rings.set(group, ring);
      if (writes <= 0) break;
    }
    if (this.#rings.size > 0) this.#scheduleFlush();
  };
}
