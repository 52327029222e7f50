import { GusherError } from '../../shared/errors/catalogue.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';

type Result = Extract<ToWorker, { type: 'idempotencyResult' }>['result'];

/** Longer than a publication takes at most, so that a repeat gets the outcome of the request that it repeats. */
const TIMEOUT_MS = 10_000;

/**
 * This worker's side of the idempotency ledger, which the primary keeps: the same key may arrive at any worker.
 */
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
   * Does the work unless it was done under this key; answers what it answered. While somebody else is at it, waits
   * for the outcome. Work that fails counts as not done, unless its outcome is unknown: then the key is kept for a
   * repeat of the same request, which is carried out again. Rejects with `idempotency_mismatch` if the key was used for
   * another request, and with `broker_busy` if the primary, or the one at work, does not settle in time.
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
      this.#send({ type: 'idempotencyCompleted', key, answer: undefined, isUnknown: isUnknown(error) });
      throw error;
    }
  }

  receive({ id, result }: Extract<ToWorker, { type: 'idempotencyResult' }>): void {
    const asked = this.#pending.get(id);
    this.#pending.delete(id);
    asked?.(result);
  }

  /** A verdict that arrives after the timeout is not lost: a key that nobody works on is given back. */
  #claim(key: string, fingerprint: string): Promise<Result> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
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

/** An error that no code expects says nothing of what was done before it. */
function isUnknown(error: unknown): boolean {
  return !(error instanceof GusherError) || error.code === 'outcome_unknown';
}
