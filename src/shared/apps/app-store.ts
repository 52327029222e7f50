import type { App, AppChanges } from './app.ts';

/**
 * Where apps are registered. Reading is asked for by the workers (through a cache), writing by `gusher apps`.
 * Any method rejects if the place cannot be reached; the rejection's message is fit for a person.
 */
export interface AppStore {
  /** One app; `undefined` if there is none of that key or what is stored there is no app. */
  load(key: string): Promise<App | undefined>;
  /** The app of that number, the first by key if there are several. Looks through all of them. */
  findById(id: string): Promise<App | undefined>;
  /** Keys by id, sorted: of everything that is stored with an id, also of what may turn out to be no app. */
  ids(): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Rejects if apps could not be read now; cheap enough for once a second. */
  check(): Promise<void>;
  /** All apps that can be found, sorted by key. */
  list(): Promise<App[]>;
  /** Registers an app, or changes the given fields of the one that is there; null takes a field away. */
  save(key: string, changes: AppChanges): Promise<void>;
  /** Answers whether there was one. */
  remove(key: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Keys by id, from keys with their ids. */
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

/** The other app that has this id already, if there is one; without an id there is none. */
export async function findAppWithSameId(
  store: Pick<AppStore, 'findById'>,
  key: string,
  id: string | null | undefined,
): Promise<App | undefined> {
  const holder = typeof id === 'string' ? await store.findById(id) : undefined;
  return holder?.key === key ? undefined : holder;
}
