const TICK_MS = 20;
/** What may come at once after a pause, as the part of a second's worth. */
const BURST_S = 0.05;

/**
 * Spreads what comes all at once over time: takes items at a steady rate, in the order in which they come. Whoever
 * comes alone waits for nothing. In any second it takes no more than a second's worth and a twentieth of it.
 */
export class TokenBucketQueue<Item> {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #maxWaitMs: number;
  readonly #onReady: (item: Item) => void;
  readonly #now: () => number;
  /** In the order in which they came. */
  readonly #waiting = new Set<Item>();
  /** How many may be taken now. */
  #tokens: number;
  #refilledAt: number;
  #timer: NodeJS.Timeout | undefined;

  /** Nobody is to wait longer than `longestMs`. `now` is a clock in ms that never goes back. */
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

  /** Takes the item now or in its turn. False, and it is not taken, if that would be too late. */
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

  /** The item does not wait any more, if it does: those behind it move up. */
  remove(item: Item): void {
    if (this.#waiting.delete(item) && this.#waiting.size === 0) this.#stopTicking();
  }

  /** Nothing waits any more; answers what did. */
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
    const items = this.#first(Math.floor(this.#tokens));
    this.#tokens -= items.length;
    for (const item of items) this.#waiting.delete(item);
    if (this.#waiting.size === 0) this.#stopTicking();
    for (const item of items) this.#onReady(item);
  };

  #first(count: number): Item[] {
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
