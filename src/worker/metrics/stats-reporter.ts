import type { ToPrimary } from '../../shared/ipc/messages.ts';
import type { Stats } from '../../shared/metrics/stats.ts';

/** The counters of at most this time are lost if the worker is killed. */
const REPORT_MS = 100;
/** A worker that changes nothing still proves that its event loop runs. */
const HEARTBEAT_MS = 500;

/** Sends heartbeats to the primary, with the stats of this worker if they changed. */
export class StatsReporter {
  readonly #stats: Stats;
  readonly #send: (message: ToPrimary) => void;
  readonly #timer: NodeJS.Timeout;
  #sentAt = 0;
  #sentFingerprint = 0;

  constructor({ stats, send }: { stats: Stats; send: (message: ToPrimary) => void }) {
    this.#stats = stats;
    this.#send = send;
    this.#timer = setInterval(this.#report, REPORT_MS);
  }

  /** Sends the last stats. */
  close(): void {
    clearInterval(this.#timer);
    this.#send({ type: 'heartbeat', stats: this.#stats });
  }

  readonly #report = (): void => {
    const now = performance.now();
    const fingerprint = fingerprintOf(this.#stats, 0);
    const isChanged = fingerprint !== this.#sentFingerprint;
    if (!isChanged && now - this.#sentAt < HEARTBEAT_MS - REPORT_MS / 2) return;
    this.#sentAt = now;
    this.#sentFingerprint = fingerprint;
    this.#send({ type: 'heartbeat', ...(isChanged && { stats: this.#stats }) });
  };
}

/** Differs for different stats, except by a rare coincidence, which delays a report until the next change. */
function fingerprintOf(value: object, seed: number): number {
  let hash = seed;
  for (const field of Object.values(value) as (number | object)[]) {
    hash = typeof field === 'number' ? (hash * 31 + field) % 2 ** 40 : fingerprintOf(field, hash + 1);
  }
  return hash;
}
