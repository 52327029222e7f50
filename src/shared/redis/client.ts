import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis, RedisOptions } from 'ioredis';
import { isReplyError, isStreamClosedError, TlsTimeoutError } from './errors.ts';
import { parseRedisAddress, type SentinelAddress } from './redis-url.ts';
import { type Master, SentinelMonitor } from './sentinel-monitor.ts';
import { readServerIdentity, type ServerIdentity } from './server-identity.ts';

export type { Redis } from 'ioredis';

const require = createRequire(import.meta.url);

const COMMAND_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;
/** ioredis keeps the process alive for as long after `disconnect`, even if there is no connection to end. */
const DISCONNECT_TIMEOUT_MS = 200;
const QUIT_TIMEOUT_MS = 1_000;

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
  let isRejected = false;
  client.on('connect', () => {
    isRejected = false;
    readRejection(client, (rejection) => {
      isRejected = true;
      options.onError(rejection);
    });
  });
  client.on('ready', () => {
    isRejected = false;
  });
  client.on('error', (error: Error) => {
    if (isStreamClosedError(error) || isRejected) return;
    options.onError(hasTlsTimedOut(client, error) ? new TlsTimeoutError(error.message) : error);
    // A database that is not there (SELECT): ioredis would go on with the first one.
    if (isReplyError(error) && client.status !== 'ready') reconnect(client);
  });
  client.on('ready', () => void noteServer(url, client));
  client.on('end', () => clientsOf.get(url)?.delete(client));
  if (address.kind === 'sentinel') client.once('ready', () => monitorOf(url, address).follow(client));
  return client;
}

/** The clients of this process by their address, and the server that each is connected to. */
const clientsOf = new Map<string, Set<Redis>>();
const identities = new WeakMap<Redis, Promise<ServerIdentity>>();
const runIds = new WeakMap<Redis, string | undefined>();

/** Asks with the first commands of a connection: once it is subscribed they are forbidden. */
async function noteServer(url: string, client: Redis): Promise<void> {
  const clients = clientsOf.get(url) ?? new Set();
  clientsOf.set(url, clients.add(client));
  runIds.delete(client);
  const { stream } = client;
  const identity = readServerIdentity(client);
  identities.set(client, identity);
  const { runId } = await identity;
  if (client.stream === stream) runIds.set(client, runId);
}

/** What the server of a client that is ready says of itself; asked once for each connection. Never rejects. */
export function serverIdentityOf(client: Redis): Promise<ServerIdentity> {
  return identities.get(client) ?? Promise.resolve({ runId: undefined, role: undefined });
}

/**
 * The address leads to this server now. Connections of this process to other ones, which a proxy or a virtual address has
 * left behind, are made again.
 */
export function leaveOtherServers(url: string, runId: string): void {
  for (const client of clientsOf.get(url) ?? []) {
    if ((runIds.get(client) ?? runId) !== runId) dropConnection(client);
  }
}

/** What Redis says to a connection that it does not serve, unasked, and while it loads its data. */
const REJECTION = /^-((?:ERR max number of clients|DENIED )[^\r\n]{0,300})|\r\n(loading):1\r\n/;

/** ioredis takes such a reply for the answer to its first command, ignores it, and reports what follows of it. */
function readRejection(client: Redis, found: (rejection: Error) => void): void {
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

/** Ends clients for good when what they have been asked for is answered, or after a second. */
export async function quitRedis(...clients: readonly Redis[]): Promise<void> {
  const quits = clients.map((client) => client.quit());
  await Promise.race([Promise.allSettled(quits), pause(QUIT_TIMEOUT_MS, undefined, { ref: false })]);
  for (const client of clients) closeRedis(client);
}

/** Ends a client for good, at once. */
export function closeRedis(client: Redis): void {
  client.disconnect();
  for (const monitor of monitors.values()) monitor.leave(client);
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
    const timer = setTimeout(() => fail(new Error('Connection timed out')), CONNECT_TIMEOUT_MS);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(hasTlsTimedOut(client, error) ? new TlsTimeoutError(error.message) : error);
    };
    // With Sentinels a connect does not fail, but goes on asking them.
    client.once('error', fail);
    client.connect().then(() => {
      clearTimeout(timer);
      resolve();
    }, fail);
  });
}

/** Also where nothing answers at all: that does not show. */
function hasTlsTimedOut({ options, status }: Redis, { message }: Error): boolean {
  return options.tls !== undefined && status === 'connecting' && /timed out$|ETIMEDOUT/.test(message);
}

/**
 * Ends a connection on which a command was not answered, which leaves it in doubt; a new one is certain, and made at once.
 */
export function dropConnection(client: Redis): void {
  if (client.status === 'ready') reconnect(client);
}

/** Once for each connection, though many commands may fail on it. */
function reconnect(client: Redis): void {
  if (client.stream?.writable) client.disconnect(true);
}

/** ioredis asks the Sentinels anew for each connection. */
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

/** Of this process, by the address: clients that have the same Sentinels share the connections to them. */
const monitors = new Map<string, SentinelMonitor<Redis>>();

/**
 * ioredis can listen to the Sentinels too, but over connections of each client, and prints what fails on them.
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

/** Where each client was sent last. */
const directedTo = new WeakMap<Redis, string>();

/**
 * A client that is connecting may be on its way to the old master, by a Sentinel that does not know yet. Of a master that
 * goes by a name that cannot be told: then the client connects anew once, however many Sentinels say so.
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

/** The connection to a Sentinel is made again and again. */
function ignoreUntilReconnect(): void {}

/** Grows from 50 ms to a second, with jitter: the workers of many hosts return together otherwise. */
function retryDelayMs(attempt: number): number {
  const delay = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_RETRY_MS);
  return delay * (0.5 + Math.random() / 2);
}

/** Text as a glob pattern that matches itself alone (SCAN, PSUBSCRIBE): a prefix is meant as it stands. */
export function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
