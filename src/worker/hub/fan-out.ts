import { observe } from '../../shared/metrics/histogram.ts';
import { hostNow } from '../../shared/metrics/host-clock.ts';
import type { Stats } from '../../shared/metrics/stats.ts';
import type { Publication } from '../../shared/model/publication.ts';
import type { Channel, SubscriberGroup } from '../connection/channel.ts';
import type { Connection } from '../connection/connection.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { AppUsage } from '../limits/app-allowances.ts';
import { frameDelivery, frameText } from '../websocket/frame.ts';
import { type Acceptance, DeliveryRing } from './delivery-ring.ts';

/** Writes per turn, 2 to 7 µs each: a fan-out delays other work of this worker by at most 1 ms. */
const WRITES_PER_TURN = 128;
/** Writes before the next group is served, so that a small channel never waits for a large one. */
const WRITES_PER_SHARE = 64;

const MS_PER_SECOND = 1_000;

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
  /** Apps with bytes that were not reported yet. */
  #sending: AppUsage[] = [];
  /** The publications delivered in this turn. */
  readonly #delivered: Acceptance<Connection>[] = [];

  constructor(options: { sendQueue: SendQueue; stats: Stats; scheduleFlush: () => void }) {
    this.#sendQueue = options.sendQueue;
    this.#stats = options.stats;
    this.#scheduleFlush = options.scheduleFlush;
  }

  /** Whether every publication was written or enqueued for all of its subscribers. */
  get isIdle(): boolean {
    return this.#rings.size === 0;
  }

  /** Delivers a publication to every subscriber of the channel but `except`, and measures the time since its acceptance. */
  publish(
    channel: Channel<Connection>,
    publication: Publication,
    acceptance: Acceptance<Connection>,
    except?: Connection,
  ): void {
    for (const group of channel.groups) {
      if (group.isPending) continue;
      const isExcluding = except !== undefined && group.connections.has(except);
      const frames = frameDelivery(group.protocol.encode(publication));
      this.#countBytes(channel.usage, frames.bytes.length * group.connections.size);
      this.#ringOf(group).add(frames, isExcluding ? except : undefined, acceptance);
    }
    this.#scheduleFlush();
  }

  /** Returns the apps that have published since the last call; the caller resets their `bytesOut`. */
  takeSending(): readonly AppUsage[] {
    const sending = this.#sending;
    this.#sending = [];
    return sending;
  }

  /** Delivers a text that is not a publication to one group, in order with publications. */
  announce(group: Group, text: string): void {
    this.#ringOf(group).add(frameText(text), undefined);
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

  #countBytes(usage: AppUsage | undefined, bytes: number): void {
    if (usage === undefined || bytes === 0) return;
    if (usage.bytesOut === 0) this.#sending.push(usage);
    usage.bytesOut += bytes;
  }

  #ringOf(group: Group): DeliveryRing<Connection> {
    const present = this.#rings.get(group);
    if (present !== undefined) return present;
    const ring = new DeliveryRing(group.connections, this.#onDelivered);
    this.#rings.set(group, ring);
    return ring;
  }

  /** Writes for one turn: a share for each group, round robin. The rest continues in the next turn. */
  readonly flush = (): void => {
    let writes = WRITES_PER_TURN;
    for (const [group, ring] of this.#rings) {
      // With several groups, frames are enqueued: the send queue joins the frames of a client in several channels.
      const isAlone = this.#rings.size === 1;
      writes -= ring.advance(Math.min(writes, WRITES_PER_SHARE), this.#sendQueue, isAlone);
      // A map iterates over entries added during the loop: the group is served again after all others.
      this.#rings.delete(group);
      if (!ring.isEmpty) this.#rings.set(group, ring);
      if (writes <= 0) break;
    }
    if (this.#rings.size > 0) this.#scheduleFlush();
  };

  /** Measures the publications that were delivered to their last subscriber. Call it when the send queue is flushed. */
  readonly measure = (): void => {
    if (this.#delivered.length === 0) return;
    const now = hostNow();
    const { publishToWrite } = this.#stats;
    for (const { origin, at } of this.#delivered) observe(publishToWrite[origin], (now - at) / MS_PER_SECOND);
    this.#delivered.length = 0;
  };

  readonly #onDelivered = (acceptances: readonly Acceptance<Connection>[]): void => {
    this.#delivered.push(...acceptances);
    for (const { tracked } of acceptances) tracked?.endGroup();
  };
}
