import { setTimeout as pause } from 'node:timers/promises';
import { GusherError } from '../errors/catalogue.ts';
import type { Logger } from '../logging/log.ts';
import type { AppStore } from './app-store.ts';

/** Attack: requests with unknown ids. Each read loads all ids; reads take at most this share of the time. */
const READ_SHARE = 0.1;
/** Longest pause between two reads, which delays new apps. */
const PAUSE_MAX_MS = 1_000;
/** Attack: unknown ids, each of which waits for the next read. */
const WAITING_MAX = 10_000;

/** Maps the ids of all apps to their keys, as of the last read. */
export class AppIdIndex {
  readonly #store: Pick<AppStore, 'ids'>;
  readonly #log: Logger;
  #keys: ReadonlyMap<string, readonly string[]> = new Map();
  /** The next read, shared by all requests before it starts. */
  #next: Promise<void> | undefined;
  #current: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #readAfter = 0;

  constructor(options: { store: Pick<AppStore, 'ids'>; log: Logger }) {
    this.#store = options.store;
    this.#log = options.log;
  }

  /** Returns the keys with this id at the last read; their records may have changed since. */
  keysOf(id: string): readonly string[] {
    return this.#keys.get(id) ?? [];
  }

  /**
   * Resolves once the index contains all apps registered before the call. Rejects with `apps_unavailable` if the store fails
   * or too many requests wait.
   */
  async refresh(): Promise<void> {
    if (this.#waiting >= WAITING_MAX) throw new GusherError('apps_unavailable');
    this.#waiting += 1;
    try {
      this.#next ??= this.#readNext();
      await this.#next;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #readNext(): Promise<void> {
    await this.#current;
    await pause(Math.max(0, this.#readAfter - performance.now()));
    this.#next = undefined;
    const read = this.#read();
    this.#current = read.catch(() => undefined);
    await read;
  }

  async #read(): Promise<void> {
    const startedAt = performance.now();
    try {
      this.#keys = await this.#store.ids();
    } catch (error) {
      this.#log.debug(
        { event: 'app_ids_unavailable', reason: (error as Error).message },
        'app ids not readable',
      );
      throw new GusherError('apps_unavailable', { cause: error });
    } finally {
      const now = performance.now();
      this.#readAfter = now + Math.min((now - startedAt) * (1 / READ_SHARE - 1), PAUSE_MAX_MS);
    }
  }
}
