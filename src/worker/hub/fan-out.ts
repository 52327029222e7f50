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

/** How long the writes of one turn may delay other work of this worker. A write takes 2 to 35 µs, as the machine is. */
const TURN_MS = 1;
/** With more writes, a turn of the event loop costs nothing worth saving. */
const WRITES_PER_TURN_MAX = 128;
/** With fewer writes, a turn of the event loop itself would cost more than they do. */
const WRITES_PER_TURN_MIN = 32;
/** Weight of the last turn in the estimate of a write. */
const WEIGHT = 0.25;
/** Bounds what one turn adds to the estimate: the system may have interrupted the process. */
const GROWTH_MAX = 2;
/** Of the writes of a turn, what one group gets before the next: a small channel never waits for a large one. */
const SHARES = 2;

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
  readonly #now: () => number;
  /** What a write takes: an estimate from the last turns. */
  #writeMs = TURN_MS / WRITES_PER_TURN_MAX;
  #turnStartedAt = 0;
  /** In this turn. */
  #writes = 0;
  /** The groups with deliveries in progress, in serving order. */
  readonly #rings = new Map<Group, DeliveryRing<Connection>>();
  /** Apps with bytes that were not reported yet. */
  #sending: AppUsage[] = [];
  /** The publications delivered in this turn. */
  readonly #delivered: Acceptance<Connection>[] = [];

  /** `now` is a monotonic clock in ms. */
  constructor(options: {
    sendQueue: SendQueue;
    stats: Stats;
    scheduleFlush: () => void;
    now?: () => number;
  }) {
    this.#sendQueue = options.sendQueue;
    this.#stats = options.stats;
    this.#scheduleFlush = options.scheduleFlush;
    this.#now = options.now ?? (() => performance.now());
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
    if (this.#rings.size === 0) return;
    this.#turnStartedAt = this.#now();
    const allowed = this.#writesPerTurn();
    const share = Math.ceil(allowed / SHARES);
    let left = allowed;
    for (const [group, ring] of this.#rings) {
      // With several groups, frames are enqueued: the send queue joins the frames of a client in several channels.
      const isAlone = this.#rings.size === 1;
      left -= ring.advance(Math.min(left, share), this.#sendQueue, isAlone);
      // A map iterates over entries added during the loop: the group is served again after all others.
      this.#rings.delete(group);
      if (!ring.isEmpty) this.#rings.set(group, ring);
      if (left <= 0) break;
    }
    this.#writes = allowed - left;
    if (this.#rings.size > 0) this.#scheduleFlush();
  };

  #writesPerTurn(): number {
    const writes = Math.round(TURN_MS / this.#writeMs);
    return Math.min(Math.max(writes, WRITES_PER_TURN_MIN), WRITES_PER_TURN_MAX);
  }

  /**
   * Measures the writes of this turn, and the publications that were delivered to their last subscriber. Call it when the
   * send queue is flushed.
   */
  readonly measure = (): void => {
    this.#measureWrites();
    this.#measurePublications();
  };

  /** A turn with few writes shows what else the turn did, not what a write takes. */
  #measureWrites(): void {
    const writes = this.#writes;
    this.#writes = 0;
    if (writes < WRITES_PER_TURN_MIN) return;
    const measured = (this.#now() - this.#turnStartedAt) / writes;
    this.#writeMs += (Math.min(measured, GROWTH_MAX * this.#writeMs) - this.#writeMs) * WEIGHT;
  }

  #measurePublications(): void {
    if (this.#delivered.length === 0) return;
    const now = hostNow();
    const { publishToWrite } = this.#stats;
    for (const { origin, at, span } of this.#delivered) {
      observe(publishToWrite[origin], (now - at) / MS_PER_SECOND);
      span?.endGroup();
    }
    this.#delivered.length = 0;
  }

  readonly #onDelivered = (acceptances: readonly Acceptance<Connection>[]): void => {
    this.#delivered.push(...acceptances);
    for (const { tracked } of acceptances) tracked?.endGroup();
  };
}
