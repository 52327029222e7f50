import { setTimeout as pause } from 'node:timers/promises';
import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import { ERRORS, type ErrorEntry, GusherError } from '../../shared/errors/catalogue.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Connection } from '../connection/connection.ts';
import type { Hub } from '../hub/hub.ts';
import type { PresenceClient } from '../ipc/presence-client.ts';

/** Connections beyond the limit look once more at moments that are so far apart at most. */
const RECHECK_MS = 900;
/** How often apps with a limit are looked at: longer than hosts take to learn of each other's connections. */
const CORRECTION_MS = 2_000;

export interface QuotaDependencies {
  readonly apps: Pick<AppRegistry, 'find'>;
  readonly hub: Pick<Hub, 'connections'>;
  readonly presence: Pick<PresenceClient, 'query'>;
  readonly stats: Stats;
  /** Sends the error as the protocol of the connection has it, and closes. */
  readonly end: (connection: Connection, error: ErrorEntry) => void;
  readonly correctionMs?: number;
}

/**
 * Keeps `max_connections` of apps, on all workers and hosts together. A connection is counted first and then looks
 * whether there are too many, so that no race admits one too many on one host. Hosts learn of each other's connections
 * late; so each worker closes its share of a surplus afterwards, the newest connections first.
 */
export class ConnectionQuota {
  readonly #apps: Pick<AppRegistry, 'find'>;
  readonly #hub: Pick<Hub, 'connections'>;
  readonly #presence: Pick<PresenceClient, 'query'>;
  readonly #stats: Stats;
  readonly #end: (connection: Connection, error: ErrorEntry) => void;
  readonly #timer: NodeJS.Timeout;
  /** Apps with a limit and perhaps with connections here; true if the last look found a surplus. */
  readonly #limited = new Map<string, boolean>();
  #isLooking = false;

  constructor(options: QuotaDependencies) {
    this.#apps = options.apps;
    this.#hub = options.hub;
    this.#presence = options.presence;
    this.#stats = options.stats;
    this.#end = options.end;
    this.#timer = setInterval(this.#look, options.correctionMs ?? CORRECTION_MS).unref();
  }

  /** Before a connection is made: rejects with `connections_full` if the app has no room for it. */
  async requireRoom(app: string, max: number | undefined): Promise<void> {
    if (max !== undefined && (await this.#connectionsOf(app)) >= max) this.#reject();
  }

  /**
   * After the connection was added to the hub: rejects with `connections_full` if it is one too many. Those that are
   * look once more, one after another: each one that leaves makes room for those that look later.
   */
  async settle(app: string, max: number): Promise<void> {
    this.note(app);
    if ((await this.#connectionsOf(app)) <= max) return;
    await pause(Math.random() * RECHECK_MS);
    if ((await this.#connectionsOf(app)) > max) this.#reject();
  }

  /** The app has a limit, and a connection here. */
  note(app: string): void {
    if (!this.#limited.has(app)) this.#limited.set(app, false);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #reject(): never {
    this.#stats.connectionsOverLimit += 1;
    throw new GusherError('connections_full');
  }

  async #connectionsOf(app: string): Promise<number> {
    return (await this.#presence.query({ kind: 'app', app })).connections;
  }

  readonly #look = (): void => {
    if (this.#isLooking || this.#limited.size === 0) return;
    this.#isLooking = true;
    void this.#checkAll().finally(() => {
      this.#isLooking = false;
    });
  };

  async #checkAll(): Promise<void> {
    for (const app of [...this.#limited.keys()]) {
      try {
        await this.#correct(app);
      } catch (error) {
        // Apps or presence cannot be had at the moment; the next look is soon.
        if (!(error instanceof GusherError)) throw error;
      }
    }
  }

  async #correct(app: string): Promise<void> {
    const max = (await this.#apps.find(app))?.max_connections;
    const counted = max === undefined ? 0 : await this.#connectionsOf(app);
    if (max === undefined || counted === 0) {
      this.#limited.delete(app);
      return;
    }
    const isOver = counted > max;
    // Connections that have just come may be about to leave by themselves.
    const wasOver = this.#limited.get(app) === true;
    this.#limited.set(app, isOver);
    if (isOver && wasOver) this.#closeShare(app, counted - max, counted);
  }

  /** Of a surplus each worker closes what its part of all connections is; a rest below one by chance. */
  #closeShare(app: string, surplus: number, counted: number): void {
    const own = [...this.#hub.connections()].filter(
      ({ appKey, state }) => appKey === app && state === 'open',
    );
    const share = (surplus * own.length) / counted;
    const count = share >= 1 ? Math.floor(share) : Number(Math.random() < share);
    for (const connection of own.slice(own.length - count)) {
      this.#stats.connectionsOverLimit += 1;
      this.#end(connection, ERRORS.connections_full);
    }
  }
}
