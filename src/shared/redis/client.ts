import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis, RedisOptions } from 'ioredis';
import { isReplyError, isReset, isStreamClosedError, TlsTimeoutError } from './errors.ts';
import { parseRedisAddress, type SentinelAddress } from './redis-url.ts';
import { type Master, SentinelMonitor } from './sentinel-monitor.ts';
import { readServerIdentity, type ServerIdentity } from './server-identity.ts';

export type { Redis } from 'ioredis';

const require = createRequire(import.meta.url);

const COMMAND_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/** ioredis keeps the process alive for this time after `disconnect`, even without a connection. */
const DISCONNECT_TIMEOUT_MS = 200;
const QUIT_TIMEOUT_MS = 1_000;

/**
 * Creates a client of one Redis, at an address for `parseRedisAddress`. It is not connected yet; after the first connection
 * it reconnects forever. With Sentinels, each connect asks them for the current master. Commands fail at once while
 * the connection is down, and after two seconds without a reply; none is queued. The caller restores subscriptions.
 * Connection errors go to `onError`, which must not print the URL, because it may contain a password.
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
  let isRejected = false;
  client.on('connect', () => {
    isRejected = false;
    watchForRejection(client, (rejection) => {
      isRejected = true;
      rejections.set(url, { rejection, at: performance.now() });
      options.onError(rejection);
    });
  });
  client.on('ready', () => {
    isRejected = false;
  });
  client.on('error', (error: Error) => {
    if (isStreamClosedError(error) || isRejected) return;
    options.onError(causeOf(error, client, url));
    // SELECT failed because the database does not exist; ioredis would continue with database 0.
    if (isReplyError(error) && client.status !== 'ready') reconnect(client);
  });
  client.on('ready', () => void identifyServer(url, client));
  client.on('end', () => clientsOf.get(url)?.delete(client));
  if (address.kind === 'sentinel') client.once('ready', () => monitorOf(url, address).follow(client));
  return client;
}

/** How long a rejection explains why Redis closes further connections of this process. */
const REJECTION_VALID_MS = 10_000;
/** The last rejection of a connection, by address. */
const rejections = new Map<string, { rejection: Error; at: number }>();

/**
 * Redis rejects a connection and closes it. If it closes before the first commands are written, the system discards the
 * unread rejection, and the error is a reset. The rejection of another connection states the reason.
 */
function causeOf(error: Error, client: Redis, url: string): Error {
  if (hasTlsTimedOut(client, error)) return new TlsTimeoutError(error.message);
  const last = rejections.get(url);
  if (last === undefined || client.status === 'ready' || !isReset(error)) return error;
  return performance.now() - last.at < REJECTION_VALID_MS ? last.rejection : error;
}

/** Clients of this process by address. */
const clientsOf = new Map<string, Set<Redis>>();
const identities = new WeakMap<Redis, Promise<ServerIdentity>>();
const runIds = new WeakMap<Redis, string | undefined>();

/** Sends the first commands of a connection, because Redis rejects them once it is subscribed. */
async function identifyServer(url: string, client: Redis): Promise<void> {
  const clients = clientsOf.get(url) ?? new Set();
  clientsOf.set(url, clients.add(client));
  runIds.delete(client);
  const { stream } = client;
  const identity = readServerIdentity(client);
  identities.set(client, identity);
  const { runId } = await identity;
  if (client.stream === stream) runIds.set(client, runId);
}

/** Returns the identity of the server of a ready client, read once per connection. Never rejects. */
export function serverIdentityOf(client: Redis): Promise<ServerIdentity> {
  return identities.get(client) ?? Promise.resolve({ runId: undefined, role: undefined });
}

/**
 * Reconnects the clients of this address that are connected to another server than `runId`. A proxy or a virtual address
 * can leave old connections at the previous server.
 */
export function leaveOtherServers(url: string, runId: string): void {
  for (const client of clientsOf.get(url) ?? []) {
    if ((runIds.get(client) ?? runId) !== runId) dropConnection(client);
  }
}

/** Replies that Redis sends unrequested to rejected connections, or while it loads its data. */
const REJECTION = /^-((?:ERR max number of clients|DENIED )[^\r\n]{0,300})|\r\n(loading):1\r\n/;

/** ioredis treats such a reply as that of its first command, ignores it and reports later errors instead. */
function watchForRejection(client: Redis, found: (rejection: Error) => void): void {
  const { stream } = client;
  const end = (): void => {
    stream.off('data', read);
    client.off('ready', end);
    client.off('close', end);
  };
  const read = (bytes: Buffer): void => {
    const match = REJECTION.exec(bytes.toString('latin1'));
    if (match === null) return;
    const text = match[1] ?? 'LOADING Redis is loading the dataset in memory';
    found(Object.assign(new Error(text), { name: 'ReplyError' }));
  };
  stream.on('data', read);
  client.once('ready', end);
  client.once('close', end);
}

/** Closes clients after their pending replies, or after one second. */
export async function quitRedis(...clients: readonly Redis[]): Promise<void> {
  const quits = clients.map((client) => client.quit());
  await Promise.race([Promise.allSettled(quits), pause(QUIT_TIMEOUT_MS, undefined, { ref: false })]);
  for (const client of clients) closeRedis(client);
}

/** Closes a client at once; it does not reconnect. */
export function closeRedis(client: Redis): void {
  client.disconnect();
  for (const monitor of monitors.values()) monitor.leave(client);
}

const COMMON = {
  lazyConnect: true,
  // Every Redis version supports RESP2.
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

/** Loaded at first use: ioredis is a third of the code of a worker, and most installations have no Redis. */
function loadRedis(): typeof import('ioredis').Redis {
  const ioredis: typeof import('ioredis') = require('ioredis');
  return ioredis.Redis;
}

/**
 * Opens the first connection. Rejects if it fails or is not ready after two seconds; the client keeps retrying.
 */
export function connectRedis(client: Redis): Promise<void> {
  return new Promise((resolve, reject) => {
    // ioredis limits each step of a connect; this timer limits all steps together.
    const timer = setTimeout(() => fail(new Error('Connection timed out')), CONNECT_TIMEOUT_MS);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(hasTlsTimedOut(client, error) ? new TlsTimeoutError(error.message) : error);
    };
    // With Sentinels `connect` never rejects, because ioredis keeps asking them.
    client.once('error', fail);
    client.connect().then(() => {
      clearTimeout(timer);
      resolve();
    }, fail);
  });
}

/** Also true if nothing responds: both cases look the same. */
function hasTlsTimedOut({ options, status }: Redis, { message }: Error): boolean {
  return options.tls !== undefined && status === 'connecting' && /timed out$|ETIMEDOUT/.test(message);
}

/**
 * Replaces a connection with an unanswered command, whose state is unknown, by a new one.
 */
export function dropConnection(client: Redis): void {
  if (client.status === 'ready') reconnect(client);
}

/** Runs once per connection, although many commands may fail on it. */
function reconnect(client: Redis): void {
  if (client.stream?.writable) client.disconnect(true);
}

/** ioredis asks the Sentinels again for each connection. */
function sentinelOptions({ tls, sentinels, name, database, redis, sentinel }: SentinelAddress) {
  return {
    sentinels: [...sentinels],
    name,
    db: database,
    ...redis,
    sentinelUsername: sentinel.username,
    sentinelPassword: sentinel.password,
    ...(tls && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
    sentinelRetryStrategy: retryDelayMs,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
  } satisfies RedisOptions;
}

/** Monitors of this process by address: clients with the same Sentinels share connections to them. */
const monitors = new Map<string, SentinelMonitor<Redis>>();

/**
 * ioredis can subscribe to Sentinels too, but with separate connections per client, and it prints their errors.
 */
function monitorOf(url: string, { name, sentinels, sentinel, tls }: SentinelAddress): SentinelMonitor<Redis> {
  const present = monitors.get(url);
  if (present !== undefined) return present;
  const connections = sentinels.map((endpoint) => {
    const connection = new (loadRedis())({
      ...endpoint,
      ...sentinel,
      ...(tls && { tls: {} }),
      ...COMMON,
    });
    connection.on('error', ignoreUntilReconnect);
    return connection;
  });
  const onIdle = (): void => void monitors.delete(url);
  const monitor = new SentinelMonitor<Redis>({
    name,
    connections,
    onSwitchMaster: reconnectToMaster,
    onIdle,
  });
  monitors.set(url, monitor);
  return monitor;
}

/** The last master of each client. */
const directedTo = new WeakMap<Redis, string>();

/**
 * A connecting client may reach the old master through a Sentinel that is not up to date. If the master has a host name,
 * the addresses cannot be compared: the client then reconnects once, regardless of the number of Sentinels.
 */
function reconnectToMaster(client: Redis, master: Master): void {
  const address = `${master.host}:${master.port}`;
  const isDirectedThere = directedTo.get(client) === address;
  directedTo.set(client, address);
  if (isDirectedThere && isIP(master.host) === 0) return;
  const check = (): void => {
    const { remoteAddress, remotePort } = client.stream;
    if (remoteAddress !== master.host || remotePort !== master.port) dropConnection(client);
  };
  if (client.status === 'ready') check();
  else client.once('ready', check);
}

/** ioredis reconnects to the Sentinel. */
function ignoreUntilReconnect(): void {}

/** Grows from 50 ms to 1 s, with jitter, so that the workers of many hosts do not reconnect together. */
function retryDelayMs(attempt: number): number {
  const delay = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_RETRY_MS);
  return delay * (0.5 + Math.random() / 2);
}

/** Escapes text for glob patterns (SCAN, PSUBSCRIBE), so that it matches only itself. */
export function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
