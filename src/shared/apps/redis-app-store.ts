import { isUtf8 } from 'node:buffer';
import { isAppKey } from '../model/names.ts';
import {
  closeRedis,
  connectRedis,
  createRedisClient,
  dropConnection,
  escapePattern,
  type Redis,
} from '../redis/client.ts';
import { explainRedisError, isReplyError, replyErrorCode } from '../redis/errors.ts';
import {
  APP_FIELD_FORMS,
  APP_FIELD_NAMES,
  type App,
  type AppChanges,
  type AppFields,
  type InvalidAppHandler,
  parseApp,
} from './app.ts';
import { type AppStore, keysById } from './app-store.ts';

const SCAN_COUNT = 1_000;
/** The key need not exist; the check only needs a reply of Redis. */
const CHECKED_KEY = 'demo';
/** Bounds the scan of a Redis that is full of keys of other programs. */
const SCANNED_KEYS_MAX = 1_000_000;
/** Attack: hashes of other programs with an arbitrary field `id`. */
const ID_MAX_LENGTH = 256;

/**
 * Stores each app in the hash `{prefix}{app_key}`, compatible with gusher-cluster: `HSET {app_key} url http://…` registers an
 * app. Fields are text: `channels` is a JSON array or comma-separated, `enabled` is `true` or `false`. Other fields are
 * neither read nor changed.
 */
export class RedisAppStore implements AppStore {
  readonly #prefix: string;
  readonly #redis: Redis;
  readonly #onInvalidApp: InvalidAppHandler | undefined;
  #connected: Promise<void> | undefined;
  /** The last connection error: it explains failed commands better than their own errors. */
  #lastError: Error | undefined;

  constructor(options: { url: string; prefix: string; onInvalidApp?: InvalidAppHandler | undefined }) {
    this.#prefix = options.prefix;
    this.#onInvalidApp = options.onInvalidApp;
    const onError = (error: Error): void => {
      this.#lastError = error;
    };
    this.#redis = createRedisClient(options.url, { name: 'apps', onError });
    this.#redis.on('ready', () => {
      this.#lastError = undefined;
    });
  }

  load(key: string): Promise<App | undefined> {
    return this.#run((redis) => this.#read(redis, key));
  }

  async check(): Promise<void> {
    await this.#run((redis) => redis.hmget(this.#prefix + CHECKED_KEY, 'enabled'));
  }

  async findById(id: string): Promise<App | undefined> {
    const keys = (await this.ids()).get(id) ?? [];
    for (const key of keys) {
      const app = await this.load(key);
      if (app?.id === id) return app;
    }
    return undefined;
  }

  ids(): Promise<ReadonlyMap<string, readonly string[]>> {
    return this.#run(async (redis) => {
      // By key, because SCAN may name one twice.
      const ids = new Map<string, string>();
      for await (const keys of this.#scan(redis)) {
        for (const [key, id] of await this.#readIds(redis, keys)) ids.set(key, id);
      }
      return keysById(ids);
    });
  }

  list(): Promise<App[]> {
    return this.#run(async (redis) => {
      // By key, because SCAN may name one twice.
      const apps = new Map<string, App>();
      for await (const keys of this.#scan(redis)) {
        for (const app of await Promise.all(keys.map((key) => this.#read(redis, key)))) {
          if (app !== undefined) apps.set(app.key, app);
        }
      }
      return [...apps.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
    });
  }

  async save(key: string, changes: AppChanges): Promise<void> {
    const texts = textsOf(changes);
    const removed = APP_FIELD_NAMES.filter((name) => changes[name] === null);
    await this.#run(async (redis) => {
      const change = redis.multi();
      if (Object.keys(texts).length > 0) change.hset(this.#prefix + key, texts);
      if (removed.length > 0) change.hdel(this.#prefix + key, ...removed);
      if (change.length === 0) return;
      for (const [error] of (await change.exec()) ?? []) if (error !== null) throw error;
    });
  }

  async remove(key: string): Promise<boolean> {
    return (await this.#run((redis) => redis.del(this.#prefix + key))) > 0;
  }

  async close(): Promise<void> {
    closeRedis(this.#redis);
  }

  async #readIds(redis: Redis, keys: readonly string[]): Promise<[key: string, id: string][]> {
    const reads = redis.pipeline();
    for (const key of keys) reads.hget(this.#prefix + key, 'id');
    return ((await reads.exec()) ?? []).flatMap(([error, id], index) => {
      // WRONGTYPE: the key was replaced after SCAN.
      if (error !== null && !isWrongType(error)) throw error;
      const key = keys[index];
      const isId = typeof id === 'string' && id.length <= ID_MAX_LENGTH;
      return isId && key !== undefined ? [[key, id]] : [];
    });
  }

  async #read(redis: Redis, key: string): Promise<App | undefined> {
    try {
      const fields = fieldsOf(await redis.hmgetBuffer(this.#prefix + key, ...APP_FIELD_NAMES));
      return parseApp(key, fields, this.#onInvalidApp);
    } catch (error) {
      if (isWrongType(error)) return undefined;
      throw error;
    }
  }

  /** Yields names of hashes that may be apps, in batches. */
  async *#scan(redis: Redis): AsyncGenerator<string[]> {
    const pattern = `${escapePattern(this.#prefix)}*`;
    let cursor = '0';
    let scanned = 0;
    do {
      const [next, names] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT, 'TYPE', 'hash');
      yield names.map((name) => name.slice(this.#prefix.length)).filter(isAppKey);
      cursor = next;
      scanned += SCAN_COUNT;
    } while (cursor !== '0' && scanned < SCANNED_KEYS_MAX);
  }

  async #run<T>(operation: (redis: Redis) => Promise<T>): Promise<T> {
    try {
      this.#connected ??= connectRedis(this.#redis);
      await this.#connected;
      return await operation(this.#redis);
    } catch (error) {
      // A failed first connect keeps retrying in the background; later calls use its current state.
      this.#connected = this.#redis.status === 'end' ? undefined : Promise.resolve();
      if (!isReplyError(error)) dropConnection(this.#redis);
      if (isWrongType(error)) throw new Error('the key is taken in Redis by something that is no app');
      throw new Error(explainRedisError(isReplyError(error) ? error : (this.#lastError ?? error)));
    }
  }
}

function isWrongType(error: unknown): boolean {
  return replyErrorCode(error) === 'WRONGTYPE';
}

function textsOf(changes: AppChanges): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const name of APP_FIELD_NAMES) {
    const value = changes[name];
    if (value === undefined || value === null) continue;
    texts[name] = typeof value === 'string' ? value : JSON.stringify(value);
  }
  return texts;
}

/**
 * Converts values in the order of `APP_FIELD_NAMES` to fields. A value that is not UTF-8 stays bytes, which the schema
 * rejects.
 */
function fieldsOf(values: readonly (Buffer | null)[]): Partial<Record<keyof AppFields, unknown>> {
  const fields: Partial<Record<keyof AppFields, unknown>> = {};
  for (const [index, name] of APP_FIELD_NAMES.entries()) {
    const value = values[index];
    if (value === null || value === undefined) continue;
    fields[name] = isUtf8(value) ? VALUE_OF[APP_FIELD_FORMS[name]](value.toString('utf8')) : value;
  }
  return fields;
}

const VALUE_OF = { text: (text: string) => text, list: listOf, boolean: booleanOf, number: numberOf };

function listOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: comma-separated names.
    return text.split(',').map((name) => name.trim());
  }
}

/** Other text stays unchanged, and the schema rejects it. */
function booleanOf(text: string): unknown {
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  return text;
}

function numberOf(text: string): unknown {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}
