import type { App } from '../../shared/apps/app.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import { topicOf } from '../../shared/model/names.ts';
import {
  closeRedis,
  connectRedis,
  createRedisClient,
  dropConnection,
  type Redis,
} from '../../shared/redis/client.ts';
import { isReplyError } from '../../shared/redis/errors.ts';
import type { RemoteSink } from './remotes.ts';

/** A script is atomic, so that several workers together cannot exceed the bound. */
const PUSH_IF_ROOM = `
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
return redis.call('RPUSH', KEYS[1], ARGV[2])`;

/**
 * Appends jobs to Redis lists as upstream does: `RPUSH {prefix}{app_key}@{name}`; the backend pops them. Lists have a
 * maximum length. Attack: a client that sends faster than the backend pops.
 */
export class RedisSink implements RemoteSink {
  readonly #prefix: string;
  readonly #lengthMax: number;
  readonly #redis: Redis;
  #connected: Promise<void> | undefined;

  constructor(options: { url: string; prefix: string; lengthMax: number }) {
    this.#prefix = options.prefix;
    this.#lengthMax = options.lengthMax;
    this.#redis = createRedisClient(options.url, { name: 'remote', onError: () => undefined });
  }

  async deliver(app: App, name: string, job: string): Promise<void> {
    const length = await this.#push(this.#prefix + topicOf(app.key, name), job);
    if (length === 0) throw new GusherError('remote_full');
  }

  close(): void {
    closeRedis(this.#redis);
  }

  /** Connects on the first job, because most installations have no jobs. */
  async #push(list: string, job: string): Promise<unknown> {
    try {
      this.#connected ??= connectRedis(this.#redis);
      await this.#connected;
      return await this.#redis.eval(PUSH_IF_ROOM, 1, list, this.#lengthMax, job);
    } catch (error) {
      // ioredis keeps connecting in the background; later jobs use the connection as it is then.
      this.#connected = this.#redis.status === 'end' ? undefined : Promise.resolve();
      if (!isReplyError(error)) dropConnection(this.#redis);
      throw new GusherError('remote_unavailable');
    }
  }
}
