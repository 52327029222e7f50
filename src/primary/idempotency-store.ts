import type { ToPrimary, ToWorker } from '../shared/ipc/messages.ts';

/** How long an answer is kept. */
const RETENTION_MS = 300_000;
/** Attack: a new key with each request. The oldest answers are dropped first. */
const CACHE_MAX = 100_000;
const CACHE_MAX_BYTES = 64 * 1024 * 1024;

type FromWorker = Extract<ToPrimary, { type: `idempotency${string}` }>;

interface Claim {
  readonly slot: number;
  readonly id: number;
  readonly fingerprint: string;
}

/** One worker executes the request; the claims of others wait. */
interface Pending {
  owner: Claim;
  readonly waiting: Claim[];
}

interface Completed {
  readonly fingerprint: string;
  /** `undefined`: the outcome is unknown, and a repeat executes the request again. */
  readonly answer: string | undefined;
  readonly bytes: number;
  readonly until: number;
}

/**
 * Stores the answers to requests with an idempotency key, for all workers of this host. The first claim acquires the
 * key. Later claims wait for its answer; if the request fails or its worker dies, the next claim acquires the key.
 */
export class IdempotencyStore {
  readonly #send: (slot: number, message: ToWorker) => void;
  readonly #now: () => number;
  readonly #pending = new Map<string, Pending>();
  /** Oldest first. */
  readonly #completed = new Map<string, Completed>();
  #bytes = 0;

  /** `now` returns ms of a monotonic clock. */
  constructor(options: { send: (slot: number, message: ToWorker) => void; now?: () => number }) {
    this.#send = options.send;
    this.#now = options.now ?? (() => performance.now());
  }

  receive(slot: number, message: FromWorker): void {
    switch (message.type) {
      case 'idempotencyClaim':
        this.#claim(message.key, { slot, id: message.id, fingerprint: message.fingerprint });
        break;
      case 'idempotencyCompleted':
        this.#complete(message.key, message.answer, message.isUnknown === true);
        break;
      default:
        message satisfies never;
    }
  }

  /**
   * Releases the keys of a worker that exited. It may have executed their requests: the same request may run again,
   * and another request with that key is rejected.
   */
  dropWorker(slot: number): void {
    for (const [key, { owner, waiting }] of this.#pending) {
      const others = waiting.filter((claim) => claim.slot !== slot);
      waiting.splice(0, waiting.length, ...others);
      if (owner.slot !== slot) continue;
      this.#store(key, owner.fingerprint, undefined);
      this.#grantNext(key);
    }
  }

  #claim(key: string, claim: Claim): void {
    this.#evictExpired();
    const completed = this.#completed.get(key);
    const pending = this.#pending.get(key);
    const known = completed?.fingerprint ?? pending?.owner.fingerprint ?? claim.fingerprint;
    if (known !== claim.fingerprint) this.#reply(claim, { kind: 'mismatch' });
    else if (completed?.answer !== undefined)
      this.#reply(claim, { kind: 'completed', answer: completed.answer });
    else if (pending !== undefined) pending.waiting.push(claim);
    else this.#grant(key, claim, []);
  }

  #complete(key: string, answer: string | undefined, isUnknown: boolean): void {
    const pending = this.#pending.get(key);
    if (pending === undefined) return;
    if (answer === undefined) {
      if (isUnknown) this.#store(key, pending.owner.fingerprint, undefined);
      this.#grantNext(key);
      return;
    }
    this.#pending.delete(key);
    this.#store(key, pending.owner.fingerprint, answer);
    for (const claim of pending.waiting) this.#reply(claim, { kind: 'completed', answer });
  }

  /** The oldest waiting claim acquires the key. */
  #grantNext(key: string): void {
    const waiting = this.#pending.get(key)?.waiting ?? [];
    this.#pending.delete(key);
    const next = waiting.shift();
    if (next !== undefined) this.#grant(key, next, waiting);
  }

  #grant(key: string, owner: Claim, waiting: Claim[]): void {
    this.#pending.set(key, { owner, waiting });
    this.#reply(owner, { kind: 'acquired' });
  }

  #store(key: string, fingerprint: string, answer: string | undefined): void {
    this.#delete(key);
    const bytes = 2 * (key.length + fingerprint.length + (answer?.length ?? 0)) + 200;
    this.#completed.set(key, { fingerprint, answer, bytes, until: this.#now() + RETENTION_MS });
    this.#bytes += bytes;
    this.#evictExpired();
  }

  #evictExpired(): void {
    const now = this.#now();
    for (const [key, { until }] of this.#completed) {
      const fits = this.#completed.size <= CACHE_MAX && this.#bytes <= CACHE_MAX_BYTES;
      if (fits && now < until) return;
      this.#delete(key);
    }
  }

  #delete(key: string): void {
    this.#bytes -= this.#completed.get(key)?.bytes ?? 0;
    this.#completed.delete(key);
  }

  #reply({ slot, id }: Claim, result: Extract<ToWorker, { type: 'idempotencyResult' }>['result']): void {
    this.#send(slot, { type: 'idempotencyResult', id, result });
  }
}
