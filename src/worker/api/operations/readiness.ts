import type { AppStore } from '../../../shared/apps/app-store.ts';
import type { Logger } from '../../../shared/logging/log.ts';
import type { Broker } from '../../broker/broker.ts';

const CHECK_MS = 1_000;
const ROUND_TRIP_DIGITS = 2;

/** Whether this worker should receive traffic, and if not, why. */
export interface ReadinessState {
  readonly ready: boolean;
  readonly reason?: string;
  /** Duration of the last publication from this worker to itself, in ms. */
  readonly brokerMs?: number;
}

/**
 * The state behind `GET /readyz`. Checked once a second, independent of requests. Attack: frequent requests, to make work
 * for the broker or the app store.
 */
export class Readiness {
  readonly #broker: Pick<Broker, 'health'>;
  readonly #store: Pick<AppStore, 'check'>;
  readonly #host: () => { live: boolean; stopping: boolean };
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isChecking = false;
  #storeError: string | undefined;

  constructor(options: {
    broker: Pick<Broker, 'health'>;
    store: Pick<AppStore, 'check'>;
    host: () => { live: boolean; stopping: boolean };
    log: Logger;
  }) {
    this.#broker = options.broker;
    this.#store = options.store;
    this.#host = options.host;
    this.#log = options.log;
  }

  get state(): ReadinessState {
    const { live, stopping } = this.#host();
    const { reason: brokerError, roundTripMs } = this.#broker.health;
    if (stopping) return { ready: false, reason: 'stopping' };
    if (brokerError !== undefined) return { ready: false, reason: `broker: ${brokerError}` };
    if (!live) return { ready: false, reason: 'broker: another worker is not connected' };
    if (this.#storeError !== undefined) return { ready: false, reason: `apps: ${this.#storeError}` };
    if (roundTripMs === undefined) return { ready: true };
    return { ready: true, brokerMs: Number(roundTripMs.toFixed(ROUND_TRIP_DIGITS)) };
  }

  /** Resolves after the first check. */
  open(): Promise<void> {
    this.#timer = setInterval(() => void this.#check(), CHECK_MS);
    return this.#check();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    const problem = await this.#store.check().then(
      () => undefined,
      (error: Error) => error.message,
    );
    this.#isChecking = false;
    if (problem === this.#storeError) return;
    this.#storeError = problem;
    if (problem === undefined) this.#log.info({ event: 'app_store_restored' }, 'app store readable again');
    else this.#log.warn({ event: 'app_store_failed', reason: problem }, 'app store failed');
  }
}
