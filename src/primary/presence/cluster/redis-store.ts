import { isUtf8 } from 'node:buffer';
import { fnv1a } from '../../../shared/crypto/fnv1a.ts';
import {
  createRedisClient,
  dropConnection,
  leaveOtherServers,
  quitRedis,
  type Redis,
} from '../../../shared/redis/client.ts';
import { isReplyError, isStreamClosedError, replyErrorCode } from '../../../shared/redis/errors.ts';
import type { PresenceRecord } from '../registry.ts';
import { InboundQueue } from './inbound-queue.ts';
import { type ClusterMessage, keyOf, messageText, parseField, parseMessage, valueText } from './message.ts';

/** How long the keys of a host outlive it. */
const TTL_SECONDS = 8;
/** The records of a host are spread over this many hashes, so that Redis never frees a large one at once. */
const CHUNKS = 32;
const SCAN_COUNT = 1_000;
/** Delay before another attempt after Redis rejected SUBSCRIBE. */
const RESUBSCRIBE_MS = 1_000;
/** Minimum time between reconnects to find the master: the address may lead to it by then. */
const SEEK_MASTER_MS = 10_000;
/** A field of every chunk. Without it, an empty chunk would not exist and would look like a lost one. */
const MARKER = '';

export interface ReplicaStoreListener {
  /**
   * A connection is up and subscribed. `isAnother`: it may lead to another Redis than the last one (a failover, a
   * restart), which may lack earlier writes.
   */
  connected(isAnother: boolean): void;
  message(message: ClusterMessage): void;
  /** Received bytes that are no valid message. */
  malformed(): void;
}

/**
 * Stores the replicas of all hosts in Redis: for each an expiring key, and hashes with its records. Hosts publish changes
 * on one channel. Without a connection, commands reject at once. An error reply rejects the command and keeps the
 * connection.
 */
export class RedisReplicaStore {
  readonly #url: string;
  readonly #base: string;
  readonly #channel: string;
  readonly #subscriber: Redis;
  readonly #commands: Redis;
  /** The `run_id` of the Redis process of the last connection. */
  #runId: string | undefined;
  /** How often the replica of this host was begun. */
  #generation = 0;
  #isSubscribed = false;
  #resubscribeTimer: NodeJS.Timeout | undefined;
  #soughtMasterAt = Number.NEGATIVE_INFINITY;
  /** The last connection error. */
  lastError: unknown;

  constructor({ url, prefix }: { url: string; prefix: string }) {
    this.#url = url;
    this.#channel = `${prefix}gusher:presence`;
    this.#base = `${prefix}gusher:host:`;
    const onError = (error: Error): void => {
      this.lastError = error;
    };
    this.#subscriber = createRedisClient(url, { name: 'presence-subscriber', onError });
    this.#commands = createRedisClient(url, { name: 'presence', onError });
  }

  get isLive(): boolean {
    return this.#isSubscribed && this.#isConnected;
  }

  get #isConnected(): boolean {
    return this.#subscriber.status === 'ready' && this.#commands.status === 'ready';
  }

  /** Connects in the background, and reconnects. */
  open(listener: ReplicaStoreListener): void {
    this.#subscriber.on('ready', () => void this.#subscribe(listener));
    this.#subscriber.on('close', () => {
      this.#isSubscribed = false;
    });
    this.#commands.on('ready', () => void this.#subscribe(listener));
    const inbound = new InboundQueue((bytes) => {
      const message = parseMessage(bytes);
      if (message === undefined) listener.malformed();
      else listener.message(message);
    });
    this.#subscriber.on('messageBuffer', (_channel: Buffer, bytes: Buffer) => inbound.add(bytes));
    for (const client of [this.#subscriber, this.#commands]) {
      client.connect().catch((error: unknown) => {
        this.lastError = error;
      });
    }
  }

  follow(server: string): void {
    leaveOtherServers(this.#url, server);
  }

  async close(): Promise<void> {
    clearTimeout(this.#resubscribeTimer);
    await quitRedis(this.#subscriber, this.#commands);
  }

  /** Creates an empty replica, in place of an existing one. */
  async begin(host: string): Promise<void> {
    this.#generation += 1;
    const commands = this.#commands.multi().unlink(...this.#chunkKeys(host));
    commands.set(this.#aliveKey(host), String(this.#generation), 'EX', TTL_SECONDS);
    for (const chunk of this.#chunkKeys(host)) commands.hset(chunk, MARKER, '1').expire(chunk, TTL_SECONDS);
    await this.#run(commands);
  }

  /** Writes the records of a delta and publishes it, both or neither. */
  async write(message: ClusterMessage): Promise<void> {
    const commands = this.#commands.multi();
    const stored = new Map<string, string[]>();
    const removed = new Map<string, string[]>();
    for (const record of message.records) {
      const key = keyOf(record.app, record.channel, record.user);
      const chunk = `${this.#aliveKey(message.host)}:${chunkOf(key)}`;
      if (record.count === 0) put(removed, chunk, key);
      else put(stored, chunk, key, valueText(record));
    }
    // The write may recreate a lost chunk, which must expire even if this host dies.
    for (const [chunk, fields] of stored) commands.hset(chunk, ...fields).expire(chunk, TTL_SECONDS);
    for (const [chunk, fields] of removed) commands.hdel(chunk, ...fields);
    commands.publish(this.#channel, messageText(message));
    await this.#run(commands);
  }

  /**
   * Extends the expiry of the keys of a replica, and publishes `message` even if that is rejected. Resolves with false if a key is
   * missing.
   */
  async keepAlive(message: ClusterMessage): Promise<boolean> {
    // No transaction: with its memory full, Redis rejects every transaction.
    const commands = this.#commands.pipeline().expire(this.#aliveKey(message.host), TTL_SECONDS);
    for (const chunk of this.#chunkKeys(message.host)) commands.expire(chunk, TTL_SECONDS);
    commands.publish(this.#channel, messageText(message));
    this.#expectReply(this.#subscriber, this.#subscriber.ping()).catch(ignoreReplyError);
    const replies = await this.#run(commands);
    return replies.slice(0, -1).every((reply) => reply === 1);
  }

  /** Removes a replica, and publishes `message` even if that is rejected. */
  async remove(message: ClusterMessage): Promise<void> {
    const commands = this.#commands
      .pipeline()
      .unlink(this.#aliveKey(message.host), ...this.#chunkKeys(message.host))
      .publish(this.#channel, messageText(message));
    await this.#run(commands);
  }

  async publish(message: ClusterMessage): Promise<void> {
    await this.#commands.publish(this.#channel, messageText(message));
  }

  /**
   * Reads a replica in batches; a record may occur twice. Resolves with false if records may be missing, because the
   * host is dead, or died or began its replica again during the read.
   */
  async read(host: string, onRecords: (records: readonly PresenceRecord[]) => void): Promise<boolean> {
    const generation = await this.#commands.get(this.#aliveKey(host));
    if (generation === null) return false;
    for (const chunk of this.#chunkKeys(host)) {
      let cursor = '0';
      do {
        const [next, fields] = await this.#commands.hscanBuffer(chunk, cursor, 'COUNT', SCAN_COUNT);
        onRecords(recordsOf(fields));
        cursor = next.toString();
      } while (cursor !== '0');
    }
    const chunks = await this.#commands.exists(...this.#chunkKeys(host));
    return chunks === CHUNKS && (await this.#commands.get(this.#aliveKey(host))) === generation;
  }

  #aliveKey(host: string): string {
    return `${this.#base}{${host}}`;
  }

  #chunkKeys(host: string): string[] {
    return Array.from({ length: CHUNKS }, (_, number) => `${this.#aliveKey(host)}:${number}`);
  }

  /** Call it when a connection is up. Subscribes once both are. */
  async #subscribe(listener: ReplicaStoreListener): Promise<void> {
    clearTimeout(this.#resubscribeTimer);
    if (!this.#isConnected) return;
    try {
      await this.#expectReply(this.#subscriber, this.#subscriber.subscribe(this.#channel));
    } catch (error) {
      if (!isReplyError(error)) return;
      this.lastError = error;
      this.#resubscribeTimer = setTimeout(() => void this.#subscribe(listener), RESUBSCRIBE_MS);
      return;
    }
    this.#isSubscribed = true;
    const runId = await this.#readRunId();
    const isAnother = runId === undefined || runId !== this.#runId;
    this.#runId = runId;
    this.lastError = undefined;
    listener.connected(isAnother);
  }

  /** `undefined` if INFO is not permitted. */
  async #readRunId(): Promise<string | undefined> {
    const info = await this.#commands.info('server').catch(() => '');
    return /^run_id:(\w+)/m.exec(info)?.[1];
  }

  /** Resolves with the replies to a transaction or a pipeline. */
  async #run(commands: ReturnType<Redis['multi']>): Promise<unknown[]> {
    return this.#expectReply(this.#commands, repliesTo(commands));
  }

  /** Drops a connection on which a command got no reply. An error reply is a reply. */
  async #expectReply<T>(client: Redis, command: Promise<T>): Promise<T> {
    try {
      return await command;
    } catch (error) {
      if (isReplyError(error)) {
        if (replyErrorCode(error) === 'READONLY') this.#seekMaster();
      } else {
        if (!isStreamClosedError(error)) this.lastError = error;
        dropConnection(client);
      }
      throw error;
    }
  }

  #seekMaster(): void {
    const now = performance.now();
    if (now - this.#soughtMasterAt < SEEK_MASTER_MS) return;
    this.#soughtMasterAt = now;
    for (const client of [this.#subscriber, this.#commands]) dropConnection(client);
  }
}

/** Rejects with a connection error if one occurred, otherwise with the first error reply. */
async function repliesTo(commands: ReturnType<Redis['multi']>): Promise<unknown[]> {
  const replies = (await commands.exec()) ?? [];
  const errors = replies.flatMap(([error]) => error ?? []);
  const [error] = [...errors.filter((error) => !isReplyError(error)), ...errors];
  if (error !== undefined) throw error;
  return replies.map(([, reply]) => reply);
}

/** `#expectReply` has dropped the connection if no reply arrived; an error reply proves that it works. */
function ignoreReplyError(): void {}

function put(lists: Map<string, string[]>, name: string, ...items: string[]): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, items);
  else list.push(...items);
}

/** Skips fields that are not UTF-8: decoding could merge two users into one. */
function recordsOf(fields: readonly Buffer[]): PresenceRecord[] {
  const records: PresenceRecord[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const bytes = fields.slice(at, at + 2);
    if (!bytes.every((field) => isUtf8(field))) continue;
    const [key = '', value = ''] = bytes.map((field) => field.toString('utf8'));
    const record = key === MARKER ? undefined : parseField(key, value);
    if (record !== undefined && record.count > 0) records.push(record);
  }
  return records;
}

function chunkOf(key: string): number {
  return (fnv1a(key) >>> 0) % CHUNKS;
}
