import { GusherError } from '../../shared/errors/catalogue.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';

type Result = Extract<ToWorker, { type: 'idempotencyResult' }>['result'];

/** Longer than any publication takes: a repeated request gets the outcome of the original one. */
const TIMEOUT_MS = 10_000;

/** Runs work once per idempotency key. */
export type IdempotencyKeys = Pick<IdempotencyClient, 'once'>;

/** Claims idempotency keys from the primary, because requests with the same key may arrive at any worker. */
export class IdempotencyClient {
  readonly #send: (message: ToPrimary) => void;
  readonly #pending = new Map<number, (result: Result) => void>();
  readonly #timeoutMs: number;
  #lastId = 0;

  constructor(options: { send: (message: ToPrimary) => void; timeoutMs?: number }) {
    this.#send = options.send;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /**
   * Runs `work` unless it has completed under this key before; returns its answer, or the stored one. Waits while
   * another request with this key is in progress.
   *
   * Failed work releases the key. If its outcome is unknown, the key stays claimed, and the same request may run again.
   * Rejects with `idempotency_mismatch` if the key belongs to another request, and with `broker_busy` on timeout.
   */
  async once(key: string, fingerprint: string, work: () => Promise<string>): Promise<string> {
    const result = await this.#claim(key, fingerprint);
    if (result.kind === 'completed') return result.answer;
    if (result.kind === 'mismatch') throw new GusherError('idempotency_mismatch');
    try {
      const answer = await work();
      this.#send({ type: 'idempotencyCompleted', key, answer });
      return answer;
    } catch (error) {
      this.#send({
        type: 'idempotencyCompleted',
        key,
        answer: undefined,
        isUnknown: isOutcomeUnknown(error),
      });
      throw error;
    }
  }

  receive({ id, result }: Extract<ToWorker, { type: 'idempotencyResult' }>): void {
    const onResult = this.#pending.get(id);
    this.#pending.delete(id);
    onResult?.(result);
  }

  #claim(key: string, fingerprint: string): Promise<Result> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // A claim that the primary grants after the timeout must be released, or the key stays blocked.
        this.#pending.set(id, ({ kind }) => {
          if (kind === 'acquired') this.#send({ type: 'idempotencyCompleted', key, answer: undefined });
        });
        reject(new GusherError('broker_busy'));
      }, this.#timeoutMs);
      this.#pending.set(id, (result) => {
        clearTimeout(timer);
        resolve(result);
      });
      this.#send({ type: 'idempotencyClaim', id, key, fingerprint });
    });
  }
}

/** An unexpected error proves nothing about what was published before it. */
function isOutcomeUnknown(error: unknown): boolean {
  return !(error instanceof GusherError) || error.code === 'outcome_unknown';
}
