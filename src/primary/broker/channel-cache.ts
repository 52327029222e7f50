import { KEPT_MS, type KeptPublication, type Publication } from '../../shared/model/publication.ts';

/** Attack: cache channels without end. Beyond either bound the one that was published to longest ago is forgotten. */
const CHANNELS_MAX = 100_000;
const BYTES_MAX = 64 * 1024 * 1024;

interface Kept {
  readonly publication: Publication;
  readonly bytes: number;
  readonly until: number;
}

/** The last publication of each cache channel, where there is no Redis to keep them. */
export class KeptPublications {
  readonly #now: () => number;
  /** By topic, the one published to longest ago first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  /** `now` is a clock in ms that never goes back. */
  constructor(options: { now: () => number } = { now: () => performance.now() }) {
    this.#now = options.now;
  }

  keep(topic: string, publication: Publication, bytes: number): void {
    this.#forget(topic);
    this.#kept.set(topic, { publication, bytes, until: this.#now() + KEPT_MS });
    this.#bytes += bytes;
    for (const [oldest, { until }] of this.#kept) {
      const fits = this.#kept.size <= CHANNELS_MAX && this.#bytes <= BYTES_MAX;
      if (fits && until > this.#now()) break;
      this.#forget(oldest);
    }
  }

  find(topic: string): KeptPublication | undefined {
    const kept = this.#kept.get(topic);
    const ttlMs = (kept?.until ?? 0) - this.#now();
    return kept === undefined || ttlMs <= 0 ? undefined : { publication: kept.publication, ttlMs };
  }

  #forget(topic: string): void {
    this.#bytes -= this.#kept.get(topic)?.bytes ?? 0;
    this.#kept.delete(topic);
  }
}
