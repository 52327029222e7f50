import { Redis } from 'ioredis';

export type { Redis } from 'ioredis';

const COMMAND_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;

/**
 * A client of one Redis: not connected yet, reconnecting for ever once it is. Commands fail at once while the
 * link is down, and after two seconds when Redis does not answer; nothing is queued. Subscriptions are the
 * caller's to make good. Errors of the link go to `onError`, which must not print the URL: it may hold a
 * password.
 */
export function createRedisClient(
  url: string,
  options: { name: string; onError: (error: Error) => void },
): Redis {
  const { target, ...place } = placeOf(url);
  const settings = {
    ...place,
    connectionName: `gusher:${options.name}`,
    lazyConnect: true,
    // RESP2 is spoken by every Redis there is, and nothing here needs more.
    protocol: 2 as const,
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy: retryDelayMs,
  };
  const client = target === undefined ? new Redis(settings) : new Redis(target, settings);
  client.on('error', options.onError);
  return client;
}

/** `redis://`, `rediss://` and plain host:port are understood by ioredis; a unix socket is a path to it. */
function placeOf(url: string): { target?: string; path?: string; host?: string; port?: number } {
  if (url.startsWith('unix://')) return { path: decodeURIComponent(new URL(url).pathname) };
  const plain = /^([^\s:/]+):(\d+)$/.exec(url);
  if (plain !== null) return { host: plain[1] ?? '', port: Number(plain[2]) };
  return { target: url };
}

/** Grows from 50 ms to a second, with jitter: the workers of many hosts return together otherwise. */
function retryDelayMs(attempt: number): number {
  const delay = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_RETRY_MS);
  return delay * (0.5 + Math.random() / 2);
}

/** A sentence for what went wrong between a client and Redis, without anything secret. */
export function redisFault(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return 'nothing listens at the Redis address';
  if (/WRONGPASS|NOAUTH/.test(message)) return 'Redis refuses the password';
  return `Redis is not reachable (${code ?? message})`;
}
