import { setTimeout as pause } from 'node:timers/promises';
import { RefusalError } from '../errors/catalogue.ts';
import type { Logger } from '../log.ts';
import { isAppKey } from '../model/names.ts';
import type { App } from './app.ts';
import type { AppStore } from './app-store.ts';

/** A change is effective within this time, by whatever means it was made; so it needs no notice. */
const FRESH_MS = 500;
/** Attack: connects to keys that do not exist, each of which would be remembered. */
const REMEMBERED_MAX = 10_000;
const LOOKUPS_MAX = 100;
/** Looking an id up reads every app: no more than this part of the time goes into it. */
const SEARCH_SHARE = 0.1;

interface Remembered {
  app: App | undefined;
  readAt: number;
}

/**
 * The apps as this process knows them. Each that is there is looked up at most twice a second however many clients
 * connect, and a connect in between waits for nothing. While the store cannot be reached, what was known goes on.
 */
export class Apps {
  readonly #store: Pick<AppStore, 'load' | 'findById'>;
  readonly #demoApp: App | undefined;
  readonly #takesAnyKey: boolean;
  readonly #log: Logger;
  /** Least recently used first. */
  readonly #remembered = new Map<string, Remembered>();
  readonly #lookups = new Map<string, Promise<App | undefined>>();
  /** Keys of apps by id, as they were found last. */
  readonly #keys = new Map<string, string>();
  #search: Promise<unknown> = Promise.resolve();
  #searches = 0;
  #nextSearchAt = 0;

  /**
   * `takesAnyKey`: every key is an app that only tokens open, if it is not registered. So it was upstream, where one
   * public key was all that an installation knew.
   */
  constructor(options: {
    store: Pick<AppStore, 'load' | 'findById'>;
    demoApp: App | undefined;
    takesAnyKey: boolean;
    log: Logger;
  }) {
    this.#store = options.store;
    this.#demoApp = options.demoApp;
    this.#takesAnyKey = options.takesAnyKey;
    this.#log = options.log;
  }

  /**
   * The app of that key, or nothing. Rejects with `apps_unavailable` if the store cannot be reached and the app
   * was never seen.
   */
  async find(key: string): Promise<App | undefined> {
    if (!isAppKey(key)) return undefined;
    const unregistered = this.#unregistered(key);
    const known = this.#remembered.get(key);
    const fresh = known !== undefined && performance.now() - known.readAt < FRESH_MS;
    // An app that was not there is looked for each time: once it is registered nobody is sent away for good. Whoever
    // means to attack by that could as well name another key each time.
    const settled = fresh && (known.app ?? unregistered) !== undefined;
    const app = settled ? known.app : await this.#lookUp(key);
    return app ?? unregistered;
  }

  #unregistered(key: string): App | undefined {
    if (key === this.#demoApp?.key) return this.#demoApp;
    return this.#takesAnyKey ? { key, enabled: true } : undefined;
  }

  /**
   * The app of that number, or nothing. One that nobody asked for before is searched among all apps, one search
   * at a time. Rejects with `apps_unavailable` as `find` does, and when too many wait for a search.
   */
  async findById(id: string): Promise<App | undefined> {
    const key = this.#keys.get(id);
    const app = key === undefined ? undefined : await this.find(key);
    if (app?.id === id) return app;
    this.#keys.delete(id);
    // Attack: ids that do not exist, each of which would be searched for.
    if (this.#searches >= LOOKUPS_MAX) throw new RefusalError('apps_unavailable');
    this.#searches += 1;
    const search = this.#search
      .then(() => this.#searchFor(id))
      .finally(() => {
        this.#searches -= 1;
      });
    this.#search = search.catch(() => undefined);
    return search;
  }

  async #searchFor(id: string): Promise<App | undefined> {
    // Whoever waited for the one before may have been waiting for the same app.
    const known = this.#keys.get(id);
    if (known !== undefined) return this.find(known);
    const startsAt = Math.max(performance.now(), this.#nextSearchAt);
    await pause(startsAt - performance.now());
    try {
      const app = await this.#store.findById(id);
      if (app !== undefined) this.#rememberId(id, app.key);
      return app;
    } catch (error) {
      this.#log.debug({ reason: (error as Error).message }, 'an app could not be searched for');
      throw new RefusalError('apps_unavailable');
    } finally {
      const tookMs = performance.now() - startsAt;
      this.#nextSearchAt = performance.now() + tookMs * (1 / SEARCH_SHARE - 1);
    }
  }

  #rememberId(id: string, key: string): void {
    this.#keys.set(id, key);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > REMEMBERED_MAX && oldest !== undefined) this.#keys.delete(oldest);
  }

  /** The app of that key where it is known, and known to be as it is. */
  known(key: string): App | undefined {
    const known = this.#remembered.get(key);
    return known !== undefined && performance.now() - known.readAt < FRESH_MS ? known.app : undefined;
  }

  #lookUp(key: string): Promise<App | undefined> {
    const present = this.#lookups.get(key);
    if (present !== undefined) return present;
    if (this.#lookups.size >= LOOKUPS_MAX) return Promise.reject(new RefusalError('apps_unavailable'));
    const lookup = this.#read(key).finally(() => this.#lookups.delete(key));
    this.#lookups.set(key, lookup);
    return lookup;
  }

  async #read(key: string): Promise<App | undefined> {
    try {
      const app = await this.#store.load(key);
      this.#remember(key, app);
      return app;
    } catch (error) {
      const known = this.#remembered.get(key);
      if (known === undefined) throw new RefusalError('apps_unavailable');
      this.#log.debug({ app: key, reason: (error as Error).message }, 'an app could not be looked up again');
      known.readAt = performance.now();
      return known.app;
    }
  }

  #remember(key: string, app: App | undefined): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, { app, readAt: performance.now() });
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > REMEMBERED_MAX && oldest !== undefined) this.#remembered.delete(oldest);
  }
}
