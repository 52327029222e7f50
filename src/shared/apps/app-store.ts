import type { App, AppChanges } from './app.ts';

/**
 * Stores registered apps. Workers read it through a cache; `gusher apps` and the API write it. Each method rejects if the
 * store is unavailable, with a readable message.
 */
export interface AppStore {
  /** Returns one app, or `undefined` if the key is unknown or its record is not a valid app. */
  load(key: string): Promise<App | undefined>;
  /** Returns the app with this id, the first by key if there are several. Reads all apps. */
  findById(id: string): Promise<App | undefined>;
  /** Returns sorted keys by id, including records that may be invalid. */
  ids(): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Rejects if the store is not readable; cheap enough for once a second. */
  check(): Promise<void>;
  /** Returns all apps, sorted by key. */
  list(): Promise<App[]>;
  /** Creates an app or changes the given fields; null removes a field. */
  save(key: string, changes: AppChanges): Promise<void>;
  /** Resolves with true if the app existed. */
  remove(key: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Groups keys by id. */
export function keysById(ids: Iterable<readonly [key: string, id: string]>): Map<string, string[]> {
  const keys = new Map<string, string[]>();
  for (const [key, id] of ids) {
    const present = keys.get(id);
    if (present === undefined) keys.set(id, [key]);
    else present.push(key);
  }
  for (const several of keys.values()) several.sort();
  return keys;
}

/** Returns another app with the same id, if any. */
export async function findAppWithSameId(
  store: Pick<AppStore, 'findById'>,
  key: string,
  id: string | null | undefined,
): Promise<App | undefined> {
  const holder = typeof id === 'string' ? await store.findById(id) : undefined;
  return holder?.key === key ? undefined : holder;
}
