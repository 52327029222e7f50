const TICK_MS = 20;
/** What may come at once after a pause, as the part of a second's worth. */
const BURST_S = 0.05;

/**
 * Spreads what comes all at once over time: takes items at a steady rate, in the order in which they come. Whoever
 * comes alone waits for nothing. In any second it takes no more than a second's worth and a twentieth of it.
 */
export class Pacer<Item> {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #longestMs: number;
  readonly #take: (item: Item) => void;
  readonly #now: () => number;
  /** In the order in which they came. */
  readonly #waiting = new Set<Item>();
  /** How many may be taken now. */
  #allowance: number;
  #reckonedAt: number;
  #timer: NodeJS.Timeout | undefined;

  /** Nobody is to wait longer than `longestMs`. `now` is a clock in ms that never goes back. */
  constructor(options: {
    perSecond: number;
    longestMs: number;
    take: (item: Item) => void;
    now?: () => number;
  }) {
    this.#perMs = options.perSecond / 1_000;
    this.#burst = Math.max(1, options.perSecond * BURST_S);
    this.#longestMs = options.longestMs;
    this.#take = options.take;
    this.#now = options.now ?? (() => performance.now());
    this.#allowance = this.#burst;
    this.#reckonedAt = this.#now();
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Takes the item now or in its turn. False, and it is not taken, if that would be too late. */
  offer(item: Item): boolean {
    this.#reckon();
    if (this.#waiting.size === 0 && this.#allowance >= 1) {
      this.#allowance -= 1;
      this.#take(item);
      return true;
    }
    const waitMs = (this.#waiting.size + 1 - this.#allowance) / this.#perMs;
    if (waitMs > this.#longestMs) return false;
    this.#waiting.add(item);
    this.#timer ??= setInterval(this.#tick, TICK_MS);
    return true;
  }

  /** The item does not wait any more, if it does: those behind it move up. */
  withdraw(item: Item): void {
    if (this.#waiting.delete(item) && this.#waiting.size === 0) this.#stopTicking();
  }

  /** Nothing waits any more; answers what did. */
  clear(): Item[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#stopTicking();
    return waiting;
  }

  #reckon(): void {
    const now = this.#now();
    this.#allowance = Math.min(this.#burst, this.#allowance + (now - this.#reckonedAt) * this.#perMs);
    this.#reckonedAt = now;
  }

  readonly #tick = (): void => {
    this.#reckon();
    const items = this.#first(Math.floor(this.#allowance));
    this.#allowance -= items.length;
    for (const item of items) this.#waiting.delete(item);
    if (this.#waiting.size === 0) this.#stopTicking();
    for (const item of items) this.#take(item);
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
