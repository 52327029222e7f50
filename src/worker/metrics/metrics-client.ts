import { GusherError } from '../../shared/errors/catalogue.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import type { MetricsFormat } from '../../shared/metrics/gauges.ts';
import { Deferred } from '../../shared/scheduling/deferred.ts';

/** Attack: many scrapes. Those within this time share one query of the primary per format. */
const SHARED_MS = 500;
const TIMEOUT_MS = 2_000;

/** Returns the text of `GET /metrics`. */
export type MetricsSource = Pick<MetricsClient, 'text'>;

interface Query {
  readonly startedAt: number;
  readonly text: Promise<string>;
}

/** Requests the metrics of this host from the primary. */
export class MetricsClient {
  readonly #send: (message: ToPrimary) => void;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, Deferred<string>>();
  readonly #queries = new Map<MetricsFormat, Query>();
  #lastId = 0;

  constructor(options: { send: (message: ToPrimary) => void; timeoutMs?: number }) {
    this.#send = options.send;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /** Rejects with `metrics_unavailable` if the primary does not answer in time. */
  text(format: MetricsFormat): Promise<string> {
    const latest = this.#queries.get(format);
    if (latest !== undefined && performance.now() - latest.startedAt < SHARED_MS) return latest.text;
    const query = { startedAt: performance.now(), text: this.#query(format) };
    this.#queries.set(format, query);
    return query.text;
  }

  receive({ id, text }: Extract<ToWorker, { type: 'metrics' }>): void {
    this.#pending.get(id)?.resolve(text);
  }

  async #query(format: MetricsFormat): Promise<string> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Deferred<string>();
    this.#pending.set(id, answer);
    const timer = setTimeout(() => answer.reject(new GusherError('metrics_unavailable')), this.#timeoutMs);
    this.#send({ type: 'metricsQuery', id, format });
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }
}
