/** Attack: connects from addresses without end, each of which would be remembered for its second. */
const GROUPS_MAX = 100_000;
const SECOND_MS = 1_000;

/** How many requests a client address may begin in a second. One table for all, emptied each second. */
export class ConnectRate {
  readonly #perSecond: number;
  #counts = new Map<string, number>();
  #second = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Addresses that are remembered. */
  get size(): number {
    return this.#counts.size;
  }

  /** Counts one; false beyond the rate. `now` in ms. */
  admits(group: string, now: number): boolean {
    const second = Math.floor(now / SECOND_MS);
    if (second !== this.#second) {
      this.#second = second;
      this.#counts = new Map();
    }
    const count = (this.#counts.get(group) ?? 0) + 1;
    if (count > 1 || this.#counts.size < GROUPS_MAX) this.#counts.set(group, count);
    return count <= this.#perSecond;
  }
}
