import { setTimeout as pause } from 'node:timers/promises';
import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import { ERRORS, type ErrorEntry, GusherError } from '../../shared/errors/catalogue.ts';
import type { Connection } from '../connection/connection.ts';
import type { Hub } from '../hub/hub.ts';
import type { PresenceClient } from '../ipc/presence-client.ts';

/** Maximum of the random delay before a connection beyond the limit is checked again. */
const RECHECK_MS = 900;
/** Check interval for apps with a limit. Longer than hosts take to receive each other's counts. */
const CORRECTION_MS = 2_000;

export interface QuotaDependencies {
  readonly apps: Pick<AppRegistry, 'find'>;
  readonly hub: Pick<Hub, 'connections'>;
  readonly presence: Pick<PresenceClient, 'query'>;
  /** Closes the connection with the error, as its protocol defines it. */
  readonly end: (connection: Connection, error: ErrorEntry) => void;
  readonly correctionMs?: number;
}

/**
 * Enforces `max_connections` of apps across all workers and hosts. A connection is counted before the check, so that no
 * race on one host admits too many. Hosts receive each other's counts with a delay. Therefore each worker later closes
 * its share of a surplus, the newest connections first.
 */
export class ConnectionQuota {
  readonly #apps: Pick<AppRegistry, 'find'>;
  readonly #hub: Pick<Hub, 'connections'>;
  readonly #presence: Pick<PresenceClient, 'query'>;
  readonly #end: (connection: Connection, error: ErrorEntry) => void;
  readonly #timer: NodeJS.Timeout;
  /** Apps with a limit and possibly connections at this worker. True if the last check found a surplus. */
  readonly #limited = new Map<string, boolean>();
  #isChecking = false;

  constructor(options: QuotaDependencies) {
    this.#apps = options.apps;
    this.#hub = options.hub;
    this.#presence = options.presence;
    this.#end = options.end;
    this.#timer = setInterval(this.#tick, options.correctionMs ?? CORRECTION_MS).unref();
  }

  /** Call before the handshake: rejects with `connections_full` if the app is at its limit. */
  async requireRoom(app: string, max: number | undefined): Promise<void> {
    if (max !== undefined && (await this.#connectionsOf(app)) >= max) this.#reject();
  }

  /**
   * Call after the connection was added to the hub: rejects with `connections_full` if the app is over its limit. Checks
   * twice, the second time after a random delay: each connection that leaves makes room for those that check later.
   */
  async settle(app: string, max: number): Promise<void> {
    this.track(app);
    if ((await this.#connectionsOf(app)) <= max) return;
    await pause(Math.random() * RECHECK_MS);
    if ((await this.#connectionsOf(app)) > max) this.#reject();
  }

  /** Checks the app regularly from now on: it has a limit, and a connection at this worker. */
  track(app: string): void {
    if (!this.#limited.has(app)) this.#limited.set(app, false);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #reject(): never {
    throw new GusherError('connections_full');
  }

  async #connectionsOf(app: string): Promise<number> {
    return (await this.#presence.query({ kind: 'app', app })).connections;
  }

  readonly #tick = (): void => {
    if (this.#isChecking || this.#limited.size === 0) return;
    this.#isChecking = true;
    void this.#checkAll().finally(() => {
      this.#isChecking = false;
    });
  };

  async #checkAll(): Promise<void> {
    for (const app of [...this.#limited.keys()]) {
      try {
        await this.#closeSurplus(app);
      } catch (error) {
        // Apps or presence are unavailable; the next check follows soon.
        if (!(error instanceof GusherError)) throw error;
      }
    }
  }

  async #closeSurplus(app: string): Promise<void> {
    const max = (await this.#apps.find(app))?.max_connections;
    const counted = max === undefined ? 0 : await this.#connectionsOf(app);
    if (max === undefined || counted === 0) {
      this.#limited.delete(app);
      return;
    }
    const isOver = counted > max;
    // New connections may still be rejected by `settle`, so only a second surplus in a row counts.
    const wasOver = this.#limited.get(app) === true;
    this.#limited.set(app, isOver);
    if (isOver && wasOver) this.#closeShare(app, counted - max, counted);
  }

  /** Closes this worker's share of the surplus. Below one connection, closes one with that probability. */
  #closeShare(app: string, surplus: number, counted: number): void {
    const own = [...this.#hub.connections()].filter(
      ({ appKey, state }) => appKey === app && state === 'open',
    );
    const share = (surplus * own.length) / counted;
    const count = share >= 1 ? Math.floor(share) : Number(Math.random() < share);
    for (const connection of own.slice(own.length - count)) {
      this.#end(connection, ERRORS.connections_full);
    }
  }
}
