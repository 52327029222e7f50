import { RefusalError } from '../../shared/errors/catalogue.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';

type Verdict = Extract<ToWorker, { type: 'idempotencyVerdict' }>['verdict'];

/**
 * This worker's side of the idempotency ledger, which the primary keeps: the same key may arrive at any worker.
 */
export class IdempotencyDesk {
  readonly #send: (message: ToPrimary) => void;
  readonly #asked = new Map<number, (verdict: Verdict) => void>();
  #lastId = 0;

  constructor(options: { send: (message: ToPrimary) => void }) {
    this.#send = options.send;
  }

  /**
   * Does the work unless it was done under this key; answers what it answered. While somebody else is at it, waits
   * for the outcome; work that fails counts as not done. Rejects with `idempotency_mismatch` if the key was used
   * for another request.
   */
  async once(key: string, fingerprint: string, work: () => Promise<string>): Promise<string> {
    const verdict = await this.#ask(key, fingerprint);
    if (verdict.kind === 'done') return verdict.answer;
    if (verdict.kind === 'mismatch') throw new RefusalError('idempotency_mismatch');
    try {
      const answer = await work();
      this.#send({ type: 'idempotencySettled', key, answer });
      return answer;
    } catch (error) {
      this.#send({ type: 'idempotencySettled', key, answer: undefined });
      throw error;
    }
  }

  receive({ id, verdict }: Extract<ToWorker, { type: 'idempotencyVerdict' }>): void {
    this.#asked.get(id)?.(verdict);
    this.#asked.delete(id);
  }

  #ask(key: string, fingerprint: string): Promise<Verdict> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      this.#asked.set(id, resolve);
      this.#send({ type: 'idempotencyClaim', id, key, fingerprint });
    });
  }
}
