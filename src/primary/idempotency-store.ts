import type { ToPrimary, ToWorker } from '../shared/ipc/messages.ts';

/** How long an answer is remembered. */
const REMEMBERED_MS = 300_000;
/** Attack: a new key with each request. The oldest answers go first. */
const CACHE_MAX = 100_000;
const REMEMBERED_MAX_BYTES = 64 * 1024 * 1024;

type FromWorker = Extract<ToPrimary, { type: `idempotency${string}` }>;

interface Claim {
  readonly slot: number;
  readonly id: number;
  readonly fingerprint: string;
}

/** Being done by one worker, which others wait for. */
interface Pending {
  owner: Claim;
  readonly waiting: Claim[];
}

interface Done {
  readonly fingerprint: string;
  /** `undefined`: the outcome is unknown, and a repeat does the work again. */
  readonly answer: string | undefined;
  readonly bytes: number;
  readonly until: number;
}

/**
 * What was done under which idempotency key, for all workers of this host. A key belongs to the first who claims
 * it; who claims it meanwhile waits, and gets the answer, or the key if the work failed or its worker died.
 */
export class IdempotencyLedger {
  readonly #send: (slot: number, message: ToWorker) => void;
  readonly #now: () => number;
  readonly #pending = new Map<string, Pending>();
  /** Oldest first. */
  readonly #done = new Map<string, Done>();
  #bytes = 0;

  /** `now` is in ms of a clock that never goes back. */
  constructor(options: { send: (slot: number, message: ToWorker) => void; now?: () => number }) {
    this.#send = options.send;
    this.#now = options.now ?? (() => performance.now());
  }

  receive(slot: number, message: FromWorker): void {
    switch (message.type) {
      case 'idempotencyClaim':
        this.#claim(message.key, { slot, id: message.id, fingerprint: message.fingerprint });
        break;
      case 'idempotencySettled':
        this.#settle(message.key, message.answer, message.isUnknown === true);
        break;
      default:
        message satisfies never;
    }
  }

  /** A worker is gone. It may have done what it was doing: the same request does it again, another one is refused. */
  dropWorker(slot: number): void {
    for (const [key, { owner, waiting }] of this.#pending) {
      const others = waiting.filter((claim) => claim.slot !== slot);
      waiting.splice(0, waiting.length, ...others);
      if (owner.slot !== slot) continue;
      this.#remember(key, owner.fingerprint, undefined);
      this.#passOn(key);
    }
  }

  #claim(key: string, claim: Claim): void {
    this.#forgetOld();
    const done = this.#done.get(key);
    const pending = this.#pending.get(key);
    const known = done?.fingerprint ?? pending?.owner.fingerprint ?? claim.fingerprint;
    if (known !== claim.fingerprint) this.#tell(claim, { kind: 'mismatch' });
    else if (done?.answer !== undefined) this.#tell(claim, { kind: 'done', answer: done.answer });
    else if (pending !== undefined) pending.waiting.push(claim);
    else this.#grant(key, claim, []);
  }

  #settle(key: string, answer: string | undefined, isUnknown: boolean): void {
    const pending = this.#pending.get(key);
    if (pending === undefined) return;
    if (answer === undefined) {
      if (isUnknown) this.#remember(key, pending.owner.fingerprint, undefined);
      this.#passOn(key);
      return;
    }
    this.#pending.delete(key);
    this.#remember(key, pending.owner.fingerprint, answer);
    for (const claim of pending.waiting) this.#tell(claim, { kind: 'done', answer });
  }

  /** The work was not done: it is for whoever waits longest. */
  #passOn(key: string): void {
    const waiting = this.#pending.get(key)?.waiting ?? [];
    this.#pending.delete(key);
    const next = waiting.shift();
    if (next !== undefined) this.#grant(key, next, waiting);
  }

  #grant(key: string, owner: Claim, waiting: Claim[]): void {
    this.#pending.set(key, { owner, waiting });
    this.#tell(owner, { kind: 'yours' });
  }

  #remember(key: string, fingerprint: string, answer: string | undefined): void {
    this.#forget(key);
    const bytes = 2 * (key.length + fingerprint.length + (answer?.length ?? 0)) + 200;
    this.#done.set(key, { fingerprint, answer, bytes, until: this.#now() + REMEMBERED_MS });
    this.#bytes += bytes;
    this.#forgetOld();
  }

  #forgetOld(): void {
    const now = this.#now();
    for (const [key, { until }] of this.#done) {
      const fits = this.#done.size <= CACHE_MAX && this.#bytes <= REMEMBERED_MAX_BYTES;
      if (fits && now < until) return;
      this.#forget(key);
    }
  }

  #forget(key: string): void {
    this.#bytes -= this.#done.get(key)?.bytes ?? 0;
    this.#done.delete(key);
  }

  #tell({ slot, id }: Claim, verdict: Extract<ToWorker, { type: 'idempotencyVerdict' }>['verdict']): void {
    this.#send(slot, { type: 'idempotencyVerdict', id, verdict });
  }
}
