import { GusherError } from '../errors/catalogue.ts';
import type { Logger } from '../logging/log.ts';
import { isAppKey } from '../model/names.ts';
import type { App } from './app.ts';
import { AppIdIndex } from './app-id-index.ts';
import type { AppStore } from './app-store.ts';

/** Every change takes effect within this time, without a notification. */
const FRESH_MS = 500;
/** Time to wait for the store before a cached app is served. */
const REFRESH_WAIT_MS = 250;
const CACHE_MAX = 10_000;
/** Attack: keys that do not exist. Lookups of cached and indexed apps do not count. */
const UNKNOWN_LOOKUPS_MAX = 100;

interface CachedApp {
  readonly app: App;
  readAt: number;
}

/** Finds apps by key. */
export type AppFinder = Pick<AppRegistry, 'find'>;

/**
 * Caches the apps of the store. Reads each app at most twice a second, regardless of the number of clients; other lookups do
 * not wait. While the store does not respond, cached apps are served. Lookups of unknown keys and ids do not delay
 * those of known apps.
 */
export class AppRegistry {
  readonly #store: Pick<AppStore, 'load' | 'ids'>;
  #demoApp: App | undefined;
  readonly #allowUnregistered: boolean;
  readonly #log: Logger;
  /** Least recently used first. */
  readonly #cache = new Map<string, CachedApp>();
  /** With `allowUnregistered`: the time of the last lookup of each unregistered key, oldest first. */
  readonly #absent = new Map<string, number>();
  readonly #lookups = new Map<string, Promise<App | undefined>>();
  readonly #ids: AppIdIndex;
  #unknownLookups = 0;

  /**
   * `allowUnregistered`: each unregistered key is an app that accepts only tokens, as in gusher-cluster, where one public
   * key served all apps.
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
   * Returns the app with this key, if any. Rejects with `apps_unavailable` if the store is unavailable and the app is not
   * cached.
   */
  async find(key: string): Promise<App | undefined> {
    if (!isAppKey(key)) return undefined;
    return (await this.#registered(key, false)) ?? this.#unregistered(key);
  }

  /** Removes the demo app, because the first app was registered. */
  endDemo(): void {
    this.#demoApp = undefined;
  }

  /** False for the demo app after its end, when clients may still wait for admission. */
  isServed(app: App): boolean {
    return app.isDemo !== true || this.#demoApp !== undefined;
  }

  #unregistered(key: string): App | undefined {
    if (key === this.#demoApp?.key) return this.#demoApp;
    return this.#allowUnregistered ? { key, enabled: true } : undefined;
  }

  /**
   * Returns the app with this id, if any. An unknown id waits for the next read of the index. Rejects
   * with `apps_unavailable` as `find` does.
   */
  async findById(id: string): Promise<App | undefined> {
    const app = await this.#indexed(id);
    if (app !== undefined) return app;
    await this.#ids.refresh();
    return this.#indexed(id);
  }

  /** Returns the app with this key if the cache has a current record. */
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
   * Looks up an unregistered key each time, so that a new app works at once. Caching would not stop an attacker, who can
   * use another key each time.
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

  /** Returns the current app, or after a timeout the cached one, which then counts as current. */
  #refresh(key: string, known: CachedApp): Promise<App | undefined> {
    return new Promise((resolve) => {
      const serveCached = (): void => {
        known.readAt = performance.now();
        resolve(known.app);
      };
      const timer = setTimeout(serveCached, REFRESH_WAIT_MS);
      this.#lookUp(key)
        .then(resolve, serveCached)
        .finally(() => clearTimeout(timer));
    });
  }

  /** Runs at most one lookup per key at a time. */
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
      // The demo app and unregistered apps need no record.
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
