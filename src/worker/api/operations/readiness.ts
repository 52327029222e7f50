import type { AppStore } from '../../../shared/apps/app-store.ts';
import type { BrokerStatus } from '../../../shared/ipc/messages.ts';
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

/** Where messages pass between workers: through the primary, or through Redis. */
export type BrokerKind = 'embedded' | 'redis';

/** The facts behind a `ReadinessState`, for the operator. */
export interface ReadinessDetails {
  readonly state: ReadinessState;
  /** The slot of the worker that answers. */
  readonly slot: number;
  readonly broker: {
    readonly kind: BrokerKind;
    readonly status: BrokerStatus;
    readonly server?: string;
    readonly reason?: string;
    readonly roundTripMs?: number;
    /** Time since the last publication of this worker to itself was delivered or failed. */
    readonly ageMs?: number;
    readonly workers?: number;
    readonly gaps?: number;
  };
  /** The workers of this host. */
  readonly workers: { readonly configured: number; readonly connected: number; readonly live: boolean };
  readonly apps: { readonly reason?: string; readonly ageMs?: number };
  /** Without Redis there is no other host. The state is not changed by this reason: publishing works. */
  readonly presence: { readonly reason?: string } | undefined;
}

/** What the primary reports of this host. */
interface HostState {
  readonly live: boolean;
  readonly connected: number;
  readonly stopping: boolean;
  readonly presenceProblem?: string;
}

export interface ReadinessOptions {
  readonly broker: Pick<Broker, 'status' | 'server' | 'health'>;
  readonly brokerKind: BrokerKind;
  readonly store: Pick<AppStore, 'check'>;
  readonly host: () => HostState;
  readonly slot: number;
  /** Configured number of workers of this host. */
  readonly workers: number;
  readonly log: Logger;
}

/**
 * The state behind `GET /readyz`. Checked once a second, independent of requests. Attack: frequent requests, to make work
 * for the broker or the app store.
 */
export class Readiness {
  readonly #options: ReadinessOptions;
  #timer: NodeJS.Timeout | undefined;
  #isChecking = false;
  #storeError: string | undefined;
  #storeCheckedAt: number | undefined;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  get state(): ReadinessState {
    const { live, stopping } = this.#options.host();
    const { reason: brokerError, roundTripMs } = this.#options.broker.health;
    if (stopping) return { ready: false, reason: 'stopping' };
    if (brokerError !== undefined) return { ready: false, reason: `broker: ${brokerError}` };
    if (!live) return { ready: false, reason: 'broker: another worker is not connected' };
    if (this.#storeError !== undefined) return { ready: false, reason: `apps: ${this.#storeError}` };
    if (roundTripMs === undefined) return { ready: true };
    return { ready: true, brokerMs: Number(roundTripMs.toFixed(ROUND_TRIP_DIGITS)) };
  }

  get details(): ReadinessDetails {
    const { broker, brokerKind, host, slot, workers } = this.#options;
    const { live, connected, presenceProblem } = host();
    const { status, server } = broker;
    const { measuredAt, ...health } = broker.health;
    return {
      state: this.state,
      slot,
      broker: {
        kind: brokerKind,
        status,
        ...(server !== undefined && { server }),
        ...health,
        ...age(measuredAt),
      },
      workers: { configured: workers, connected, live },
      apps: {
        ...(this.#storeError !== undefined && { reason: this.#storeError }),
        ...age(this.#storeCheckedAt),
      },
      presence: brokerKind === 'redis' ? { ...(presenceProblem && { reason: presenceProblem }) } : undefined,
    };
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
    const problem = await this.#options.store.check().then(
      () => undefined,
      (error: Error) => error.message,
    );
    this.#isChecking = false;
    this.#storeCheckedAt = performance.now();
    if (problem === this.#storeError) return;
    this.#storeError = problem;
    const { log } = this.#options;
    if (problem === undefined) log.info({ event: 'app_store_restored' }, 'app store readable again');
    else log.warn({ event: 'app_store_failed', reason: problem }, 'app store failed');
  }
}

function age(since: number | undefined): { ageMs?: number } {
  return since === undefined ? {} : { ageMs: Math.round(performance.now() - since) };
}
