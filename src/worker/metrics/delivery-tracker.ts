import type { ToPrimary } from '../../shared/ipc/messages.ts';
import type { DeliveryCounts } from '../../shared/metrics/delivery-report.ts';
import type { Connection } from '../connection/connection.ts';

/** The primary asks within milliseconds; later its query has timed out. */
const KEPT_MS = 2_000;
/** Attack: a Redis client that publishes with many report ids. */
const TRACKED_MAX = 1_000;
const NOTHING: DeliveryCounts = { subscribers: 0, written: 0, queued: 0, dropped: 0 };

/** Follows one publication to all its subscribers on this worker. */
export class TrackedDelivery {
  readonly counts = { ...NOTHING } as { -readonly [Count in keyof DeliveryCounts]: number };
  readonly #onChange: (delivery: TrackedDelivery) => void;
  readonly #visited: Connection[] = [];
  #groupsLeft: number;

  constructor(groups: number, onChange: (delivery: TrackedDelivery) => void) {
    this.#groupsLeft = groups;
    this.#onChange = onChange;
  }

  /** Whether every group of subscribers was served, and every result is counted. */
  get isComplete(): boolean {
    return this.#groupsLeft === 0 && this.#visited.length === 0;
  }

  /** The message was given to the send queue for this connection. */
  visit(connection: Connection): void {
    this.#visited.push(connection);
    this.#onChange(this);
  }

  /** The last subscriber of a group was visited. */
  endGroup(): void {
    this.#groupsLeft -= 1;
    this.#onChange(this);
  }

  /** Counts the results. Call it when the send queue is flushed. */
  settle(): void {
    const { counts } = this;
    for (const { state, transport } of this.#visited) {
      counts.subscribers += 1;
      if (state !== 'open') counts.dropped += 1;
      else if (transport.unsentBytes > 0) counts.queued += 1;
      else counts.written += 1;
    }
    this.#visited.length = 0;
  }
}

/** A report that was begun here, or asked for by the primary, or both. */
interface Entry {
  readonly since: number;
  delivery: TrackedDelivery | undefined;
  isAsked: boolean;
}

/** Follows the publications whose publisher wants a report, and reports to the primary when it asks. */
export class DeliveryTracker {
  readonly #send: (message: ToPrimary) => void;
  readonly #isSubscribed: (topic: string) => boolean;
  readonly #arrivesInOrder: boolean;
  /** By report id, oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #changed = new Set<TrackedDelivery>();

  /** `arrivesInOrder`: a publication that the primary asks about has arrived before the question. */
  constructor(options: {
    send: (message: ToPrimary) => void;
    isSubscribed: (topic: string) => boolean;
    arrivesInOrder: boolean;
  }) {
    this.#send = options.send;
    this.#isSubscribed = options.isSubscribed;
    this.#arrivesInOrder = options.arrivesInOrder;
  }

  /** A publication with this report id arrived for so many groups of subscribers. */
  begin(report: string, groups: number): TrackedDelivery {
    const delivery = new TrackedDelivery(groups, this.#onChange);
    const entry = this.#entryOf(report);
    entry.delivery ??= delivery;
    this.#changed.add(delivery);
    return delivery;
  }

  /** Reports when the publication is delivered; at once if this worker has no subscriber. */
  ask(report: string, topic: string): void {
    const isExpected = !this.#arrivesInOrder && this.#isSubscribed(topic);
    if (!this.#entries.has(report) && !isExpected) {
      this.#send({ type: 'deliveryReportPart', report, counts: NOTHING });
      return;
    }
    const entry = this.#entryOf(report);
    entry.isAsked = true;
    this.#report(report, entry);
  }

  /** Call it when the send queue is flushed. */
  settle(): void {
    if (this.#changed.size === 0) return;
    for (const delivery of this.#changed) delivery.settle();
    this.#changed.clear();
    for (const [report, entry] of [...this.#entries]) this.#report(report, entry);
  }

  readonly #onChange = (delivery: TrackedDelivery): void => {
    this.#changed.add(delivery);
  };

  #report(report: string, { delivery, isAsked }: Entry): void {
    if (!isAsked || delivery?.isComplete !== true || this.#changed.has(delivery)) return;
    this.#entries.delete(report);
    this.#send({ type: 'deliveryReportPart', report, counts: delivery.counts });
  }

  #entryOf(report: string): Entry {
    const present = this.#entries.get(report);
    if (present !== undefined) return present;
    const now = performance.now();
    for (const [oldest, { since }] of this.#entries) {
      if (this.#entries.size < TRACKED_MAX && now - since < KEPT_MS) break;
      this.#entries.delete(oldest);
    }
    const entry: Entry = { since: now, delivery: undefined, isAsked: false };
    this.#entries.set(report, entry);
    return entry;
  }
}
