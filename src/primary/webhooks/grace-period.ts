/**
 * Delays departures: a vacated channel, a member that left. If a client returns within the grace period, neither its
 * departure nor its return is reported (a page reload, a crash of a worker).
 */
export class GracePeriod<T> {
  readonly #graceMs: number;
  readonly #onExpire: (departure: T) => void;
  /** By subject, oldest first: the grace period is the same for all. */
  readonly #held = new Map<string, { departure: T; until: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { graceMs: number; onExpire: (departure: T) => void }) {
    this.#graceMs = options.graceMs;
    this.#onExpire = options.onExpire;
  }

  /** Holds a departure; `onExpire` gets it after the grace period unless it is cancelled. */
  hold(subject: string, departure: T): void {
    if (this.#held.has(subject)) return;
    this.#held.set(subject, { departure, until: performance.now() + this.#graceMs });
    this.#timer ??= setTimeout(this.#expireDue, this.#graceMs);
  }

  /** Cancels the departure of a subject. Returns true if none was held: then the return is news. */
  cancel(subject: string): boolean {
    return !this.#held.delete(subject);
  }

  /** Expires all departures now. */
  flush(): void {
    clearTimeout(this.#timer);
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const { departure } of held) this.#onExpire(departure);
  }

  /** Drops all departures. */
  close(): void {
    clearTimeout(this.#timer);
    this.#held.clear();
  }

  readonly #expireDue = (): void => {
    this.#timer = undefined;
    const now = performance.now();
    for (const [subject, { departure, until }] of this.#held) {
      if (until > now) {
        this.#timer = setTimeout(this.#expireDue, Math.ceil(until - now));
        return;
      }
      this.#held.delete(subject);
      this.#onExpire(departure);
    }
  };
}
