/**
 * Holds back what may be taken back: that a channel was vacated, that a member left. A client that returns
 * within the grace has never been away, and then neither its leaving nor its return is told (a page that is
 * loaded again, a worker that died).
 */
export class GracePeriod<T> {
  readonly #graceMs: number;
  readonly #onExpire: (departure: T) => void;
  /** By what it is about, and oldest first: the grace is the same for all. */
  readonly #held = new Map<string, { departure: T; until: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { graceMs: number; onExpire: (departure: T) => void }) {
    this.#graceMs = options.graceMs;
    this.#onExpire = options.onExpire;
  }

  /** Something ended; it is told after the grace unless it begins again. */
  hold(subject: string, departure: T): void {
    if (this.#held.has(subject)) return;
    this.#held.set(subject, { departure, until: performance.now() + this.#graceMs });
    this.#timer ??= setTimeout(this.#release, this.#graceMs);
  }

  /** Something began; answers whether that is news. */
  cancel(subject: string): boolean {
    return !this.#held.delete(subject);
  }

  /** Nobody can return any more: tells what is held. */
  flush(): void {
    clearTimeout(this.#timer);
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const { departure } of held) this.#onExpire(departure);
  }

  /** Lets go of what is held, untold. */
  close(): void {
    clearTimeout(this.#timer);
    this.#held.clear();
  }

  readonly #release = (): void => {
    this.#timer = undefined;
    const now = performance.now();
    for (const [subject, { departure, until }] of this.#held) {
      if (until > now) {
        this.#timer = setTimeout(this.#release, Math.ceil(until - now));
        return;
      }
      this.#held.delete(subject);
      this.#onExpire(departure);
    }
  };
}
