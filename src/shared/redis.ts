import { createRequire } from 'node:module';
import type { Redis } from 'ioredis';

export type { Redis } from 'ioredis';

const require = createRequire(import.meta.url);

const COMMAND_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/** ioredis keeps the process alive for as long after `disconnect`, even if there is no connection to end. */
const DISCONNECT_TIMEOUT_MS = 200;

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
  // Loaded at its first use: a third of what a worker loads, and most installations have no Redis.
  const ioredis: typeof import('ioredis') = require('ioredis');
  const client = new ioredis.Redis(targetOf(url), {
    connectionName: `gusher:${options.name}`,
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
  });
  client.on('error', options.onError);
  return client;
}

/**
 * Makes the first connection. Rejects if that fails, and after two seconds whatever Redis does; the client
 * goes on trying.
 */
export function connectRedis(client: Redis): Promise<void> {
  return new Promise((resolve, reject) => {
    // Each step of a connect has its own time-out in ioredis; this one is for all of them.
    const timer = setTimeout(() => reject(new Error('Connection timed out')), CONNECT_TIMEOUT_MS);
    client
      .connect()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

/**
 * Ends a connection on which a command was not answered, which leaves it in doubt; a new one is certain, and made at once.
 */
export function distrust(client: Redis): void {
  if (client.status === 'ready') client.disconnect(true);
}

/** ioredis understands `redis://`, `rediss://` and host:port; a unix socket is a path to it. */
function targetOf(url: string): string {
  if (url.startsWith('unix://')) return url.slice('unix://'.length);
  return url.startsWith(':') ? `127.0.0.1${url}` : url;
}

/** Grows from 50 ms to a second, with jitter: the workers of many hosts return together otherwise. */
function retryDelayMs(attempt: number): number {
  const delay = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_RETRY_MS);
  return delay * (0.5 + Math.random() / 2);
}

/** True if Redis was reached and said no. */
export function isRedisReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/**
 * A sentence for what went wrong between a client and Redis, without anything secret. Of what Redis said only
 * the first word is told: the rest may repeat what it was sent.
 */
export function redisFault(error: unknown): string {
  // A connection that Redis ends in good order has no error.
  if (!(error instanceof Error)) return 'Redis ended the connection';
  const { code, message } = error as NodeJS.ErrnoException;
  if (isRedisReply(error)) {
    const [word] = message.split(' ', 1);
    return /^(WRONGPASS|NOAUTH)$/.test(word ?? '') ? 'Redis refuses the password' : `Redis answers ${word}`;
  }
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return 'nothing listens at the Redis address';
  if (code === 'ETIMEDOUT' || /timed out$/.test(message)) return 'Redis does not answer';
  return `Redis is not reachable (${code ?? message})`;
}

/** Text as a glob pattern that matches itself alone (SCAN, PSUBSCRIBE): a prefix is meant as it stands. */
export function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
