const TICK_MS = 20;
/** Largest burst after a pause, in seconds of the rate. */
const BURST_S = 0.05;

/**
 * Spreads bursts over time: passes items on at a steady rate, in the order of arrival. A single item never waits. In any
 * second at most 105 % of the rate pass.
 */
export class TokenBucketQueue<Item> {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #maxWaitMs: number;
  readonly #onReady: (item: Item) => void;
  readonly #now: () => number;
  /** In order of arrival. */
  readonly #waiting = new Set<Item>();
  /** Number of items that may pass now. */
  #tokens: number;
  #refilledAt: number;
  #timer: NodeJS.Timeout | undefined;

  /** No item waits longer than `maxWaitMs`. `now` is a monotonic clock in ms. */
  constructor(options: {
    perSecond: number;
    maxWaitMs: number;
    onReady: (item: Item) => void;
    now?: () => number;
  }) {
    this.#perMs = options.perSecond / 1_000;
    this.#burst = Math.max(1, options.perSecond * BURST_S);
    this.#maxWaitMs = options.maxWaitMs;
    this.#onReady = options.onReady;
    this.#now = options.now ?? (() => performance.now());
    this.#tokens = this.#burst;
    this.#refilledAt = this.#now();
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Passes the item on now or later. Returns false, without queueing it, if it would wait too long. */
  offer(item: Item): boolean {
    this.#refill();
    if (this.#waiting.size === 0 && this.#tokens >= 1) {
      this.#tokens -= 1;
      this.#onReady(item);
      return true;
    }
    const waitMs = (this.#waiting.size + 1 - this.#tokens) / this.#perMs;
    if (waitMs > this.#maxWaitMs) return false;
    this.#waiting.add(item);
    this.#timer ??= setInterval(this.#tick, TICK_MS);
    return true;
  }

  /** Removes a waiting item, if present. */
  remove(item: Item): void {
    if (this.#waiting.delete(item) && this.#waiting.size === 0) this.#stopTicking();
  }

  /** Removes all waiting items and returns them. */
  clear(): Item[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#stopTicking();
    return waiting;
  }

  #refill(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#refilledAt) * this.#perMs);
    this.#refilledAt = now;
  }

  readonly #tick = (): void => {
    this.#refill();
    const items = this.#firstWaiting(Math.floor(this.#tokens));
    this.#tokens -= items.length;
    for (const item of items) this.#waiting.delete(item);
    if (this.#waiting.size === 0) this.#stopTicking();
    for (const item of items) this.#onReady(item);
  };

  #firstWaiting(count: number): Item[] {
    const items: Item[] = [];
    for (const item of this.#waiting) {
      if (items.length >= count) break;
      items.push(item);
    }
    return items;
  }

  #stopTicking(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
