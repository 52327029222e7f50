import { CACHE_TTL_MS, type CachedPublication, type Publication } from '../../shared/model/publication.ts';

/** Attack: very many cache channels. Beyond either bound the channel with the oldest publication is dropped. */
const CHANNELS_MAX = 100_000;
const BYTES_MAX = 64 * 1024 * 1024;

interface CacheEntry {
  readonly publication: Publication;
  readonly bytes: number;
  readonly until: number;
}

/** Keeps the last publication of each cache channel for the embedded broker. */
export class ChannelCache {
  readonly #now: () => number;
  /** By topic, oldest publication first. */
  readonly #entries = new Map<string, CacheEntry>();
  #bytes = 0;

  /** `now` returns ms of a monotonic clock. */
  constructor(options: { now: () => number } = { now: () => performance.now() }) {
    this.#now = options.now;
  }

  set(topic: string, publication: Publication, bytes: number): void {
    this.#delete(topic);
    this.#entries.set(topic, { publication, bytes, until: this.#now() + CACHE_TTL_MS });
    this.#bytes += bytes;
    for (const [oldest, { until }] of this.#entries) {
      const fits = this.#entries.size <= CHANNELS_MAX && this.#bytes <= BYTES_MAX;
      if (fits && until > this.#now()) break;
      this.#delete(oldest);
    }
  }

  find(topic: string): CachedPublication | undefined {
    const cached = this.#entries.get(topic);
    const ttlMs = (cached?.until ?? 0) - this.#now();
    return cached === undefined || ttlMs <= 0 ? undefined : { publication: cached.publication, ttlMs };
  }

  #delete(topic: string): void {
    this.#bytes -= this.#entries.get(topic)?.bytes ?? 0;
    this.#entries.delete(topic);
  }
}
