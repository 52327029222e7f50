import { GusherError } from '../errors/catalogue.ts';
import type { Logger } from '../log.ts';
import { isAppKey } from '../model/names.ts';
import type { App } from './app.ts';
import { AppIdIndex } from './app-id-index.ts';
import type { AppStore } from './app-store.ts';

/** A change is effective within this time, by whatever means it was made; so it needs no notice. */
const FRESH_MS = 500;
/** How long a remembered app waits for a store that does not answer, before it is served as it is remembered. */
const REFRESH_WAIT_MS = 250;
const CACHE_MAX = 10_000;
/** Attack: keys that do not exist. Lookups of remembered and indexed apps do not count. */
const UNKNOWN_LOOKUPS_MAX = 100;

interface CachedApp {
  readonly app: App;
  readAt: number;
}

/** Finds apps by key. */
export type AppFinder = Pick<AppRegistry, 'find'>;

/**
 * The apps as this process knows them. Each app is looked up at most twice a second, however many clients connect, and
 * a connect in between waits for nothing. While the store does not answer, remembered apps are served as they are
 * remembered; neither that nor the search by id depends on how many unknown keys and ids are asked for.
 */
export class AppRegistry {
  readonly #store: Pick<AppStore, 'load' | 'ids'>;
  #demoApp: App | undefined;
  readonly #allowUnregistered: boolean;
  readonly #log: Logger;
  /** Least recently used first. */
  readonly #cache = new Map<string, CachedApp>();
  /** Where every key is an app: when unregistered keys were looked up, the least recent first. */
  readonly #absent = new Map<string, number>();
  readonly #lookups = new Map<string, Promise<App | undefined>>();
  readonly #ids: AppIdIndex;
  #unknownLookups = 0;

  /**
   * `allowUnregistered`: every key is an app that only tokens open, if it is not registered. So it was upstream, where one
   * public key was all that an installation knew.
   */
  constructor(options: {
    store: Pick<AppStore, 'load' | 'ids'>;
    demoApp: App | undefined;
    allowUnregistered: boolean;
    log: Logger;
  }) {
    this.#store = options.store;
    this.#demoApp = options.demoApp;
    this.#allowUnregistered = options.allowUnregistered;
    this.#log = options.log;
    this.#ids = new AppIdIndex({ store: options.store, log: options.log });
  }

  /**
   * The app of that key, or nothing. Rejects with `apps_unavailable` if the store cannot be reached and the app
   * was never seen.
   */
  async find(key: string): Promise<App | undefined> {
    if (!isAppKey(key)) return undefined;
    return (await this.#registered(key, false)) ?? this.#unregistered(key);
  }

  /** The first app was registered: from now on there is no demo app. */
  endDemo(): void {
    this.#demoApp = undefined;
  }

  /** False for the demo app when it has ended; its clients may have waited for their turn since. */
  isServed(app: App): boolean {
    return app.isDemo !== true || this.#demoApp !== undefined;
  }

  #unregistered(key: string): App | undefined {
    if (key === this.#demoApp?.key) return this.#demoApp;
    return this.#allowUnregistered ? { key, enabled: true } : undefined;
  }

  /**
   * The app with that id, or nothing. An id that the index does not have waits for the next read of the index. Rejects
   * with `apps_unavailable` as `find` does.
   */
  async findById(id: string): Promise<App | undefined> {
    const app = await this.#indexed(id);
    if (app !== undefined) return app;
    await this.#ids.refresh();
    return this.#indexed(id);
  }

  /** The app of that key if it is known, and known to be current. */
  peek(key: string): App | undefined {
    const known = this.#cache.get(key);
    return known !== undefined && isFresh(known.readAt) ? known.app : undefined;
  }

  /** The app of that key as it was last seen, current or not. */
  remembered(key: string): App | undefined {
    return this.#cache.get(key)?.app;
  }

  async #indexed(id: string): Promise<App | undefined> {
    for (const key of this.#ids.keysOf(id)) {
      const app = isAppKey(key) ? await this.#registered(key, true) : undefined;
      if (app?.id === id) return app;
    }
    return undefined;
  }

  /**
   * A key that is not registered is looked up each time, so that an app can be used as soon as it is registered;
   * an attacker could as well use another key each time.
   */
  async #registered(key: string, isIndexed: boolean): Promise<App | undefined> {
    const known = this.#cache.get(key);
    if (known !== undefined) return isFresh(known.readAt) ? known.app : this.#refresh(key, known);
    const absentAt = this.#absent.get(key);
    if (absentAt !== undefined && isFresh(absentAt)) return undefined;
    if (isIndexed || this.#lookups.has(key)) return this.#lookUp(key);
    if (this.#unknownLookups >= UNKNOWN_LOOKUPS_MAX) throw new GusherError('apps_unavailable');
    this.#unknownLookups += 1;
    return this.#lookUp(key).finally(() => {
      this.#unknownLookups -= 1;
    });
  }

  /** The current app, or after a while the remembered one, which then counts as current. */
  #refresh(key: string, known: CachedApp): Promise<App | undefined> {
    return new Promise((resolve) => {
      const serveRemembered = (): void => {
        known.readAt = performance.now();
        resolve(known.app);
      };
      const timer = setTimeout(serveRemembered, REFRESH_WAIT_MS);
      this.#lookUp(key)
        .then(resolve, serveRemembered)
        .finally(() => clearTimeout(timer));
    });
  }

  /** Once at a time for each key. */
  #lookUp(key: string): Promise<App | undefined> {
    const present = this.#lookups.get(key);
    if (present !== undefined) return present;
    const lookup = this.#read(key).finally(() => this.#lookups.delete(key));
    this.#lookups.set(key, lookup);
    return lookup;
  }

  async #read(key: string): Promise<App | undefined> {
    try {
      const app = await this.#store.load(key);
      this.#cacheApp(key, app);
      return app;
    } catch (error) {
      const facts = { event: 'app_lookup_failed', app: key, reason: (error as Error).message };
      this.#log.debug(facts, 'app lookup failed');
      // Served as before: the demo app and an app of tokens alone need no record.
      if (this.#absent.has(key)) return undefined;
      throw new GusherError('apps_unavailable', { cause: error });
    }
  }

  #cacheApp(key: string, app: App | undefined): void {
    this.#cache.delete(key);
    this.#absent.delete(key);
    const now = performance.now();
    if (app !== undefined) addBounded(this.#cache, key, { app, readAt: now });
    else if (this.#unregistered(key) !== undefined) addBounded(this.#absent, key, now);
  }
}

function isFresh(readAt: number): boolean {
  return performance.now() - readAt < FRESH_MS;
}

/** Adds an entry and drops the oldest one beyond the bound. */
function addBounded<T>(map: Map<string, T>, key: string, value: T): void {
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > CACHE_MAX && oldest !== undefined) map.delete(oldest);
}
