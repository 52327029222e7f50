/**
 * Spreads what comes all at once over time: places are given out at a steady rate, to whoever comes first. Whoever
 * comes alone waits for nothing.
 */
export class Pacer {
  readonly #intervalMs: number;
  readonly #longestMs: number;
  readonly #now: () => number;
  #nextAt = 0;

  /** Nobody is to wait longer than `longestMs`. `now` is a clock in ms that never goes back. */
  constructor(options: { perSecond: number; longestMs: number; now?: () => number }) {
    this.#intervalMs = 1_000 / options.perSecond;
    this.#longestMs = options.longestMs;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Gives out the next place; answers in how many ms it is. `undefined`: none is near enough. */
  take(): number | undefined {
    const now = this.#now();
    const at = Math.max(now, this.#nextAt);
    if (at - now > this.#longestMs) return undefined;
    this.#nextAt = at + this.#intervalMs;
    return at - now;
  }
}
