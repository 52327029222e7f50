import { createRequire } from 'node:module';
import type { Redis, RedisOptions } from 'ioredis';
import { parseRedisAddress, type SentinelAddress } from './redis-address.ts';
import { SentinelWatch } from './sentinel-watch.ts';

export type { Redis } from 'ioredis';

const require = createRequire(import.meta.url);

const COMMAND_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/** ioredis keeps the process alive for as long after `disconnect`, even if there is no connection to end. */
const DISCONNECT_TIMEOUT_MS = 200;

/**
 * A client of one Redis, at an address as `parseRedisAddress` reads it: not connected yet, reconnecting for ever once it is.
 * Where Sentinels name it, each connect asks them for the master of the moment. Commands fail at once while the
 * link is down, and after two seconds when Redis does not answer; nothing is queued. Subscriptions are the
 * caller's to make good. Errors of the link go to `onError`, which must not print the URL: it may hold a
 * password.
 */
export function createRedisClient(
  url: string,
  options: { name: string; onError: (error: Error) => void },
): Redis {
  const address = parseRedisAddress(url);
  const common = { ...COMMON, connectionName: `gusher:${options.name}` };
  const client =
    address.kind === 'direct'
      ? new (loadRedis())(address.url, common)
      : new (loadRedis())({ ...sentinelOptions(address), ...common });
  client.on('error', options.onError);
  if (address.kind === 'sentinel') client.once('ready', () => watchOf(url, address).follow(client));
  return client;
}

const COMMON = {
  lazyConnect: true,
  // RESP2 is spoken by every Redis there is, and nothing here needs more.
  protocol: 2,
  enableOfflineQueue: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  connectTimeout: CONNECT_TIMEOUT_MS,
  disconnectTimeout: DISCONNECT_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
  retryStrategy: retryDelayMs,
} satisfies RedisOptions;

/** Loaded at its first use: a third of what a worker loads, and most installations have no Redis. */
function loadRedis(): typeof import('ioredis').Redis {
  const ioredis: typeof import('ioredis') = require('ioredis');
  return ioredis.Redis;
}

/**
 * Makes the first connection. Rejects if that fails, and after two seconds whatever Redis does; the client
 * goes on trying.
 */
export function connectRedis(client: Redis): Promise<void> {
  return new Promise((resolve, reject) => {
    // Each step of a connect has its own time-out in ioredis; this one is for all of them.
    const timer = setTimeout(() => reject(new Error('Connection timed out')), CONNECT_TIMEOUT_MS);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    // With Sentinels a connect does not fail, but goes on asking them.
    client.once('error', fail);
    client.connect().then(() => {
      clearTimeout(timer);
      resolve();
    }, fail);
  });
}

/**
 * Ends a connection on which a command was not answered, which leaves it in doubt; a new one is certain, and made at once.
 */
export function distrust(client: Redis): void {
  if (client.status === 'ready') client.disconnect(true);
}

/** ioredis asks the Sentinels anew for each connection. */
function sentinelOptions({ tls, sentinels, name, database, redis, sentinel }: SentinelAddress) {
  return {
    sentinels: [...sentinels],
    name,
    db: database,
    ...(redis.username !== undefined && { username: redis.username }),
    ...(redis.password !== undefined && { password: redis.password }),
    ...(sentinel.username !== undefined && { sentinelUsername: sentinel.username }),
    ...(sentinel.password !== undefined && { sentinelPassword: sentinel.password }),
    ...(tls && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
    sentinelRetryStrategy: retryDelayMs,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
  } satisfies RedisOptions;
}

/** Of this process, by the address: clients that have the same Sentinels share the connections to them. */
const watches = new Map<string, SentinelWatch<Redis>>();

/**
 * ioredis can listen to the Sentinels too, but over connections of each client, and prints what fails on them.
 */
function watchOf(url: string, { name, sentinels, sentinel, tls }: SentinelAddress): SentinelWatch<Redis> {
  const present = watches.get(url);
  if (present !== undefined) return present;
  const connections = sentinels.map((endpoint) => {
    const connection = new (loadRedis())({
      ...endpoint,
      ...(sentinel.username !== undefined && { username: sentinel.username }),
      ...(sentinel.password !== undefined && { password: sentinel.password }),
      ...(tls && { tls: {} }),
      ...COMMON,
    });
    connection.on('error', ignoreUntilBack);
    return connection;
  });
  const abandoned = (): void => void watches.delete(url);
  const watch = new SentinelWatch<Redis>({ name, connections, switched: distrust, abandoned });
  watches.set(url, watch);
  return watch;
}

/** The connection to a Sentinel is made again and again. */
function ignoreUntilBack(): void {}

/** Grows from 50 ms to a second, with jitter: the workers of many hosts return together otherwise. */
function retryDelayMs(attempt: number): number {
  const delay = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_RETRY_MS);
  return delay * (0.5 + Math.random() / 2);
}

/** True if Redis was reached and said no. */
export function isRedisReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

const NO_CLUSTER = 'this is a node of a Redis Cluster, which gusher cannot use';
const SENTENCE_OF_REPLY: ReadonlyMap<string, string> = new Map([
  ['WRONGPASS', 'Redis refuses the password'],
  ['NOAUTH', 'Redis refuses the password'],
  ['MOVED', NO_CLUSTER],
  ['CLUSTERDOWN', NO_CLUSTER],
]);

/**
 * A sentence for what went wrong between a client and Redis, without anything secret. Of what Redis said only
 * the first word is told: the rest may repeat what it was sent.
 */
export function redisFault(error: unknown): string {
  // A connection that Redis ends in good order has no error.
  if (!(error instanceof Error)) return 'Redis ended the connection';
  const { code, message } = error as NodeJS.ErrnoException;
  if (isRedisReply(error)) {
    const [word = ''] = message.split(' ', 1);
    return SENTENCE_OF_REPLY.get(word) ?? `Redis answers ${word}`;
  }
  if (message.startsWith('All sentinels are unreachable')) {
    return /WRONGPASS|NOAUTH/.test(message)
      ? 'the Sentinels refuse the password'
      : 'no Sentinel names the master';
  }
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return 'nothing listens at the Redis address';
  if (code === 'ETIMEDOUT' || /timed out$/.test(message)) return 'Redis does not answer';
  return `Redis is not reachable (${code ?? message})`;
}

/** Text as a glob pattern that matches itself alone (SCAN, PSUBSCRIBE): a prefix is meant as it stands. */
export function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
