import type { Logger } from '../../shared/log.ts';
import type { WebhookEvent } from '../../shared/model/webhook-event.ts';

/** How long events are collected before they leave in one body. */
const COLLECT_MS = 50;
const BATCH_MAX_EVENTS = 100;
const BATCH_MAX_BYTES = 256 * 1024;
/** Attack, or accident: a webhook that does not answer while its app is busy. */
const QUEUE_MAX_BYTES = 16 * 1024 * 1024;

/** How a body that was not taken is tried again, in ms: the first pause, the longest, and for how long. */
export interface RetryPolicy {
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly giveUpAfterMs: number;
}

const RETRY_POLICY: RetryPolicy = { firstPauseMs: 1_000, longestPauseMs: 60_000, giveUpAfterMs: 300_000 };

/** Whether a body may hold several events (`webhook_batch` of the app, as it is now). */
export type IsBatched = () => Promise<boolean>;

/** What a delivery queue does with a body: answers what went wrong, in a few words, or nothing. */
export type Deliver = (body: string) => Promise<string | undefined>;

interface Waiting {
  readonly json: string;
  readonly bytes: number;
}

/**
 * The events of one app on their way to its webhook, in their order: one event in a body, or several if the app
 * batches them; one body at a time, each tried again with growing pauses for five minutes. A webhook that fails keeps nobody waiting but its own app.
 * `collecting` → `delivering` → (`pausing` → `delivering`)* → idle again.
 */
export class DeliveryQueue {
  readonly #app: string;
  readonly #deliver: Deliver;
  readonly #isBatched: IsBatched;
  readonly #log: Logger;
  readonly #retryPolicy: RetryPolicy;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #state: 'idle' | 'collecting' | 'delivering' | 'pausing' = 'idle';
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #idle: () => void = () => undefined;
  /** Ends the pause before the next attempt. */
  #wake: () => void = () => undefined;
  #isFlushing = false;

  constructor(options: {
    app: string;
    deliver: Deliver;
    isBatched: IsBatched;
    log: Logger;
    retryPolicy?: RetryPolicy;
  }) {
    this.#app = options.app;
    this.#deliver = options.deliver;
    this.#isBatched = options.isBatched;
    this.#log = options.log;
    this.#retryPolicy = options.retryPolicy ?? RETRY_POLICY;
  }

  push(event: WebhookEvent): void {
    const json = JSON.stringify(event);
    const bytes = Buffer.byteLength(json);
    if (this.#waitingBytes + bytes > QUEUE_MAX_BYTES) {
      this.#dropOne();
      return;
    }
    this.#waiting.push({ json, bytes });
    this.#waitingBytes += bytes;
    if (this.#state !== 'idle') return;
    this.#state = 'collecting';
    this.#timer = setTimeout(this.#work, COLLECT_MS);
  }

  /** Resolves when everything is delivered or given up. */
  async finish(): Promise<void> {
    if (this.#state === 'idle') return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  /** From now on nothing is waited for: what is left is tried once more, and given up if that fails. */
  flush(): void {
    this.#isFlushing = true;
    this.#wake();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
  }

  readonly #work = async (): Promise<void> => {
    while (this.#waiting.length > 0) {
      const eventsMax = (await this.#isBatched()) ? BATCH_MAX_EVENTS : 1;
      // Closed meanwhile.
      if (this.#waiting.length === 0) break;
      await this.#deliverBatch(this.#takeBatch(eventsMax));
    }
    this.#state = 'idle';
    this.#dropped = 0;
    this.#idle();
  };

  #takeBatch(eventsMax: number): string {
    let count = 0;
    let bytes = 0;
    for (const waiting of this.#waiting) {
      if (count === eventsMax || (count > 0 && bytes + waiting.bytes > BATCH_MAX_BYTES)) break;
      count += 1;
      bytes += waiting.bytes;
    }
    this.#waitingBytes -= bytes;
    const events = this.#waiting.splice(0, count).map(({ json }) => json);
    return `{"time_ms":${Date.now()},"events":[${events.join(',')}]}`;
  }

  async #deliverBatch(body: string): Promise<void> {
    const { firstPauseMs, longestPauseMs, giveUpAfterMs } = this.#retryPolicy;
    const until = performance.now() + giveUpAfterMs;
    for (let attempt = 0; ; attempt += 1) {
      this.#state = 'delivering';
      const error = await this.#deliver(body);
      if (error === undefined) return;
      const pauseMs = Math.min(firstPauseMs * 2 ** attempt, longestPauseMs);
      if (this.#isFlushing || performance.now() + pauseMs > until) {
        this.#log.error(
          { event: 'webhook_given_up', app: this.#app, error },
          'webhook events discarded after retries',
        );
        return;
      }
      if (attempt === 0)
        this.#log.warn(
          { event: 'webhook_failed', app: this.#app, error },
          'webhook delivery failed, retrying',
        );
      this.#state = 'pausing';
      await this.#pause(pauseMs);
    }
  }

  async #pause(pauseMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, pauseMs);
    });
    clearTimeout(this.#timer);
    this.#wake = () => undefined;
  }

  #dropOne(): void {
    this.#dropped += 1;
    if (this.#dropped > 1) return;
    this.#log.error({ event: 'webhook_queue_full', app: this.#app }, 'webhook queue full, dropping events');
  }
}
