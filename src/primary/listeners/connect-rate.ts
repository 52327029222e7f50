/** Attack: connects from very many addresses, each of which takes an entry for a second. */
const GROUPS_MAX = 100_000;
const SECOND_MS = 1_000;

/** Limits the requests that each client address may begin in a second. One table, cleared each second. */
export class ConnectRate {
  readonly #perSecond: number;
  #counts = new Map<string, number>();
  #second = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Number of counted addresses. */
  get size(): number {
    return this.#counts.size;
  }

  /** Counts a request; returns false if it exceeds the rate. `now` is in ms. */
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
