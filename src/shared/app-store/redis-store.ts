import { type App, type AppFields, parseApp } from '../app.ts';
import { createRedisClient, type Redis, redisFault } from '../redis.ts';
import { isAppKey } from '../topic.ts';
import type { AppStore } from './app-store.ts';

const SCAN_COUNT = 500;
/** A Redis that is full of other hashes must not keep a start waiting. */
const SCANNED_KEYS_MAX = 100_000;

/**
 * Apps in Redis, the seed's way: each is the hash `{prefix}{app_key}`, registered with no more than
 * `HSET {app_key} url http://…`. Fields are text: `channels` a JSON array or names between commas, `enabled`
 * `true` or `false`. Fields of other programs are left alone.
 */
export class RedisAppStore implements AppStore {
  readonly #prefix: string;
  readonly #redis: Redis;
  #connected: Promise<void> | undefined;

  constructor(options: { url: string; prefix: string }) {
    this.#prefix = options.prefix;
    // What is wrong is told by the command that fails of it.
    this.#redis = createRedisClient(options.url, { name: 'apps', onError: () => undefined });
  }

  async load(key: string): Promise<App | undefined> {
    const fields = await this.#ask((redis) => this.#hash(redis, key));
    return fields === undefined ? undefined : parseApp(key, fields);
  }

  async list(): Promise<App[]> {
    return this.#ask(async (redis) => {
      const apps: App[] = [];
      for (const key of await this.#keys(redis)) {
        const fields = await this.#hash(redis, key);
        const app = fields === undefined ? undefined : parseApp(key, fields);
        if (app !== undefined) apps.push(app);
      }
      return apps;
    });
  }

  async save(key: string, fields: AppFields): Promise<void> {
    await this.#ask((redis) => redis.hset(this.#prefix + key, textsOf(fields)));
  }

  async remove(key: string): Promise<boolean> {
    return (await this.#ask((redis) => redis.del(this.#prefix + key))) > 0;
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }

  async #hash(redis: Redis, key: string): Promise<unknown> {
    try {
      const texts = await redis.hgetall(this.#prefix + key);
      return Object.keys(texts).length === 0 ? undefined : fieldsOf(texts);
    } catch (error) {
      if (/WRONGTYPE/.test((error as Error).message)) return undefined;
      throw error;
    }
  }

  async #keys(redis: Redis): Promise<string[]> {
    const keys = new Set<string>();
    const pattern = `${this.#prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
    let cursor = '0';
    let scanned = 0;
    do {
      const [next, found] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT, 'TYPE', 'hash');
      for (const name of found) keys.add(name.slice(this.#prefix.length));
      cursor = next;
      scanned += SCAN_COUNT;
    } while (cursor !== '0' && scanned < SCANNED_KEYS_MAX);
    return [...keys].filter(isAppKey).sort();
  }

  async #ask<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    try {
      this.#connected ??= this.#redis.connect();
      await this.#connected;
      return await question(this.#redis);
    } catch (error) {
      // A first connect that failed goes on in the background; later questions find the link up or down.
      this.#connected = this.#redis.status === 'end' ? undefined : Promise.resolve();
      throw new Error(redisFault(error));
    }
  }
}

function textsOf(fields: AppFields): Record<string, string> {
  const { url, channels, enabled } = fields;
  return {
    ...(url !== undefined && { url }),
    ...(channels !== undefined && { channels: JSON.stringify(channels) }),
    ...(enabled !== undefined && { enabled: String(enabled) }),
  };
}

function fieldsOf({ url, channels, enabled }: Record<string, string>): unknown {
  return {
    ...(url !== undefined && { url }),
    ...(channels !== undefined && { channels: listOf(channels) }),
    ...(enabled !== undefined && { enabled: booleanOf(enabled) }),
  };
}

function listOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: names between commas, as a person types them.
    return text.split(',').map((name) => name.trim());
  }
}

/** Anything but a clear yes or no is left as it is, for the schema to refuse. */
function booleanOf(text: string): unknown {
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  return text;
}
