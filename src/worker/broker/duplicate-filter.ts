/** Ids remembered: at 100 bytes each, 10 MB at most per worker. */
const CACHE_MAX = 100_000;
/** The lifetime of an Idempotency-Key. */
const CACHE_TTL_MS = 300_000;

/**
 * Drops repeated publications. A backend repeats a request with an unknown outcome under the same Idempotency-Key, and
 * the broker then carries the publication again. Workers that missed the first one deliver the second one; all others
 * drop it. Publications without an id are never dropped.
 */
export class DuplicateFilter {
  readonly #now: () => number;
  /** Time of the first delivery by topic and id, oldest first. */
  readonly #deliveries = new Map<string, number>();

  /** `now` returns the ms of a monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Returns true for the first publication of a topic with this id, and for every publication without an id. */
  isFirst(topic: string, id: string | undefined): boolean {
    if (id === undefined) return true;
    const key = `${topic}\n${id}`;
    const now = this.#now();
    const deliveredAt = this.#deliveries.get(key);
    if (deliveredAt !== undefined && now - deliveredAt < CACHE_TTL_MS) return false;
    this.#deliveries.delete(key);
    this.#deliveries.set(key, now);
    this.#evictExpired(now);
    return true;
  }

  #evictExpired(now: number): void {
    for (const [key, deliveredAt] of this.#deliveries) {
      if (this.#deliveries.size <= CACHE_MAX && now - deliveredAt < CACHE_TTL_MS) return;
      this.#deliveries.delete(key);
    }
  }
}
