import type { App } from '../shared/app.ts';
import type { AppStore } from '../shared/app-store/app-store.ts';
import { RefusalError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { isAppKey } from '../shared/topic.ts';

/** A change is effective within this time, by whatever means it was made; so it needs no notice. */
const FRESH_MS = 500;
/** Attack: connects to keys that do not exist, each of which would be remembered. */
const REMEMBERED_MAX = 10_000;
const LOOKUPS_MAX = 100;

interface Remembered {
  app: App | undefined;
  readAt: number;
}

/**
 * The apps as this worker knows them. Each is looked up at most twice a second however many clients connect,
 * and a connect in between waits for nothing. While the store cannot be reached, what was known goes on.
 */
export class Apps {
  readonly #store: Pick<AppStore, 'load'>;
  readonly #demoApp: App | undefined;
  readonly #log: Logger;
  /** Least recently used first. */
  readonly #remembered = new Map<string, Remembered>();
  readonly #lookups = new Map<string, Promise<App | undefined>>();

  constructor(options: { store: Pick<AppStore, 'load'>; demoApp: App | undefined; log: Logger }) {
    this.#store = options.store;
    this.#demoApp = options.demoApp;
    this.#log = options.log;
  }

  /**
   * The app of that key, or nothing. Rejects with `apps_unavailable` if the store cannot be reached and the app
   * was never seen.
   */
  async find(key: string): Promise<App | undefined> {
    if (!isAppKey(key)) return undefined;
    const known = this.#remembered.get(key);
    const fresh = known !== undefined && performance.now() - known.readAt < FRESH_MS;
    const app = fresh ? known.app : await this.#lookUp(key);
    return app ?? (key === this.#demoApp?.key ? this.#demoApp : undefined);
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
