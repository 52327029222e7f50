import type { RateKind, ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';

/** Attack: apps without end. The bucket of an app that was idle for a second is full, so dropping it changes nothing. */
const BUCKETS_MAX = 10_000;
/** The part of a second's allowance that all workers together receive beyond what they ask for. */
const EXTRA_FRACTION = 0.1;
const SECOND_MS = 1_000;

type FromWorker = Extract<ToPrimary, { type: 'rateRequest' | 'bytesOut' }>;

interface Bucket {
  tokens: number;
  /** When `tokens` was right (`performance.now()`). */
  at: number;
}

/**
 * Divides the rates of each app among the workers. One token bucket per app and kind holds the allowance of a second. A
 * worker takes tokens in advance, so that it asks a few times per second, not for each publication. Sent bytes are known
 * afterwards: they may lead to a debt, during which the workers reject publications of the app.
 */
export class RateServer {
  readonly #workers: number;
  readonly #clients = new Map<string, (message: ToWorker) => void>();
  /** The least recently used is first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: { workers: number }) {
    this.#workers = options.workers;
  }

  /** Adds a worker process. */
  open(name: string, send: (message: ToWorker) => void): void {
    this.#clients.set(name, send);
  }

  /** Removes a process. The tokens that it held are lost, at most a tenth of those of one second. */
  close(name: string): void {
    this.#clients.delete(name);
  }

  receive(name: string, message: FromWorker): void {
    if (message.type === 'bytesOut') {
      for (const report of message.reports) this.#spendBytes(report);
      return;
    }
    const { app, kind } = message;
    this.#clients.get(name)?.({ type: 'rateGrant', app, kind, granted: this.#take(message) });
  }

  #take({ app, kind, perSecond, needed, wanted }: FromWorker & { type: 'rateRequest' }): number {
    if (perSecond === 0) return 0;
    const bucket = this.#refill(app, kind, perSecond);
    // A batch that is larger than the bucket needs a full one.
    if (bucket.tokens < Math.min(needed, perSecond)) return 0;
    const extra = Math.floor((perSecond * EXTRA_FRACTION) / this.#workers);
    const granted = Math.max(needed, Math.min(Math.floor(bucket.tokens), wanted + extra));
    bucket.tokens -= granted;
    return granted;
  }

  #spendBytes({ app, bytes, perSecond }: { app: string; bytes: number; perSecond: number }): void {
    const bucket = this.#refill(app, 'bytesOut', perSecond);
    bucket.tokens -= bytes;
    if (bucket.tokens >= 0) return;
    const forMs = Math.ceil((-bucket.tokens / Math.max(1, perSecond)) * SECOND_MS);
    for (const send of this.#clients.values()) send({ type: 'bytesOutExceeded', app, forMs });
  }

  #refill(app: string, kind: RateKind, perSecond: number): Bucket {
    const key = `${kind}\n${app}`;
    const now = performance.now();
    const bucket = this.#buckets.get(key) ?? { tokens: perSecond, at: now };
    const refilled = bucket.tokens + ((now - bucket.at) / SECOND_MS) * perSecond;
    bucket.tokens = Math.min(perSecond, refilled);
    bucket.at = now;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > BUCKETS_MAX && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}
