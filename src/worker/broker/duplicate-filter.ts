/** Ids remembered: at 100 bytes each, 10 MB at most per worker. */
const CACHE_MAX = 100_000;
/** As long as the answer to an Idempotency-Key is remembered. */
const REMEMBERED_MS = 300_000;

/**
 * Delivers a publication with an id once. A backend repeats a request whose outcome it does not know under the same
 * Idempotency-Key. The broker then carries the publication again: the clients of workers that missed the first one get
 * the second one, all others get it once. Publications without an id are not remembered.
 */
export class DuplicateFilter {
  readonly #now: () => number;
  /** When each was delivered, oldest first. */
  readonly #delivered = new Map<string, number>();

  /** `now` is in ms of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Returns true for the first publication of that topic with that id, and for each one without an id. */
  isFirst(topic: string, id: string | undefined): boolean {
    if (id === undefined) return true;
    const key = `${topic}\n${id}`;
    const now = this.#now();
    const deliveredAt = this.#delivered.get(key);
    if (deliveredAt !== undefined && now - deliveredAt < REMEMBERED_MS) return false;
    this.#delivered.delete(key);
    this.#delivered.set(key, now);
    this.#forgetOld(now);
    return true;
  }

  #forgetOld(now: number): void {
    for (const [key, deliveredAt] of this.#delivered) {
      if (this.#delivered.size <= CACHE_MAX && now - deliveredAt < REMEMBERED_MS) return;
      this.#delivered.delete(key);
    }
  }
}
