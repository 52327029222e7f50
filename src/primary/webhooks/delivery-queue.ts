import type { Logger } from '../../shared/logging/log.ts';
import type { WebhookEvent } from '../../shared/model/webhook-event.ts';
import { Deferred } from '../../shared/scheduling/deferred.ts';

/** How long events are collected for one body. */
const COLLECT_MS = 50;
const BATCH_MAX_EVENTS = 100;
const BATCH_MAX_BYTES = 256 * 1024;
/** Attack, or accident: a webhook that does not respond while its app is busy. */
const QUEUE_MAX_BYTES = 16 * 1024 * 1024;

/** How failed deliveries are retried. */
export interface RetryPolicy {
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly giveUpAfterMs: number;
}

const RETRY_POLICY: RetryPolicy = { firstPauseMs: 1_000, longestPauseMs: 60_000, giveUpAfterMs: 300_000 };

/** Resolves with whether a body may hold several events: the current `webhook_batch` of the app. */
export type IsBatched = () => Promise<boolean>;

/** Delivers a body. Resolves with a short description of the error, if any. */
export type Deliver = (body: string) => Promise<string | undefined>;

/** Events by what happened to them. */
export interface EventWebhookStats {
  delivered: number;
  /** Once per failed attempt. */
  retried: number;
  /** After all retries. */
  discarded: number;
  /** Without an attempt: the queue was full, or the app could not be looked up. */
  dropped: number;
}

/** One body, and how many events it holds. */
interface Batch {
  readonly body: string;
  readonly events: number;
}

interface QueuedEvent {
  readonly json: string;
  readonly bytes: number;
}

/**
 * Queues the events of one app for its webhook, in order. A body holds one event, or several if the app batches them.
 * One body is delivered at a time and retried with growing pauses for five minutes; other apps do not wait for it.
 * `idle` → `collecting` → `delivering` → (`pausing` → `delivering`)* → `idle`.
 */
export class DeliveryQueue {
  readonly #app: string;
  readonly #deliver: Deliver;
  readonly #isBatched: IsBatched;
  readonly #log: Logger;
  readonly #stats: EventWebhookStats;
  readonly #retryPolicy: RetryPolicy;
  readonly #queued: QueuedEvent[] = [];
  #queuedBytes = 0;
  #state: 'idle' | 'collecting' | 'delivering' | 'pausing' = 'idle';
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #drained = new Deferred();
  /** The pause before the next attempt. */
  #pause: Deferred | undefined;
  #isFlushing = false;

  constructor(options: {
    app: string;
    deliver: Deliver;
    isBatched: IsBatched;
    log: Logger;
    stats: EventWebhookStats;
    retryPolicy?: RetryPolicy;
  }) {
    this.#app = options.app;
    this.#deliver = options.deliver;
    this.#isBatched = options.isBatched;
    this.#log = options.log;
    this.#stats = options.stats;
    this.#retryPolicy = options.retryPolicy ?? RETRY_POLICY;
  }

  /** Events that wait for a delivery. */
  get size(): number {
    return this.#queued.length;
  }

  push(event: WebhookEvent): void {
    const json = JSON.stringify(event);
    const bytes = Buffer.byteLength(json);
    if (this.#queuedBytes + bytes > QUEUE_MAX_BYTES) {
      this.#countDropped();
      return;
    }
    this.#queued.push({ json, bytes });
    this.#queuedBytes += bytes;
    if (this.#state !== 'idle') return;
    this.#state = 'collecting';
    this.#timer = setTimeout(this.#deliverAll, COLLECT_MS);
  }

  /** Resolves when every event is delivered or discarded. */
  async finish(): Promise<void> {
    if (this.#state !== 'idle') await this.#drained.promise;
  }

  /** From now on nothing is retried: the queue makes one more attempt for each body, without pauses. */
  flush(): void {
    this.#isFlushing = true;
    this.#pause?.resolve();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queued.length = 0;
  }

  readonly #deliverAll = async (): Promise<void> => {
    while (this.#queued.length > 0) {
      const eventsMax = (await this.#isBatched()) ? BATCH_MAX_EVENTS : 1;
      // `close` may have cleared the queue.
      if (this.#queued.length === 0) break;
      await this.#deliverBatch(this.#takeBatch(eventsMax));
    }
    this.#state = 'idle';
    this.#dropped = 0;
    this.#drained.resolve();
    this.#drained = new Deferred();
  };

  #takeBatch(eventsMax: number): Batch {
    let count = 0;
    let bytes = 0;
    for (const event of this.#queued) {
      if (count === eventsMax || (count > 0 && bytes + event.bytes > BATCH_MAX_BYTES)) break;
      count += 1;
      bytes += event.bytes;
    }
    this.#queuedBytes -= bytes;
    const events = this.#queued.splice(0, count).map(({ json }) => json);
    return { body: `{"time_ms":${Date.now()},"events":[${events.join(',')}]}`, events: count };
  }

  async #deliverBatch({ body, events }: Batch): Promise<void> {
    const { firstPauseMs, longestPauseMs, giveUpAfterMs } = this.#retryPolicy;
    const until = performance.now() + giveUpAfterMs;
    for (let attempt = 0; ; attempt += 1) {
      this.#state = 'delivering';
      const error = await this.#deliver(body);
      if (error === undefined) {
        this.#stats.delivered += events;
        return;
      }
      const pauseMs = Math.min(firstPauseMs * 2 ** attempt, longestPauseMs);
      if (this.#isFlushing || performance.now() + pauseMs > until) {
        this.#stats.discarded += events;
        this.#log.error(
          { event: 'webhook_events_discarded', app: this.#app, error },
          'webhook events discarded after retries',
        );
        return;
      }
      this.#stats.retried += events;
      if (attempt === 0)
        this.#log.warn(
          { event: 'webhook_delivery_failed', app: this.#app, error },
          'webhook delivery failed, retrying',
        );
      this.#state = 'pausing';
      await this.#pauseFor(pauseMs);
    }
  }

  async #pauseFor(pauseMs: number): Promise<void> {
    const pause = new Deferred();
    this.#pause = pause;
    this.#timer = setTimeout(() => pause.resolve(), pauseMs);
    await pause.promise;
    clearTimeout(this.#timer);
    this.#pause = undefined;
  }

  #countDropped(): void {
    this.#dropped += 1;
    this.#stats.dropped += 1;
    if (this.#dropped > 1) return;
    this.#log.error({ event: 'webhook_queue_full', app: this.#app }, 'webhook queue full, dropping events');
  }
}
