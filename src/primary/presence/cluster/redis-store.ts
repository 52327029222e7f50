import { isUtf8 } from 'node:buffer';
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

/** How long what a host says of itself outlives it. */
const TTL_SECONDS = 8;
/** A host's records are spread over this many hashes: Redis frees one at a time without stopping for long. */
const CHUNKS = 32;
const SCAN_COUNT = 1_000;
/** Who may not listen asks again so much later. */
const RESUBSCRIBE_MS = 1_000;
/** Where Redis is a replica the address may lead to the master by now, which a new connection finds out. */
const SEEK_MASTER_MS = 10_000;
/** A field that is in every chunk, so that one that is not there was lost and not just empty. */
const MARKER = '';

export interface ReplicaStoreListener {
  /**
   * A connection is up and hears the other hosts. It may lead to another Redis than the last one (a failover, a restart),
   * which need not have all that was written.
   */
  connected(isAnother: boolean): void;
  message(message: ClusterMessage): void;
  /** Something that is no message of a host. */
  malformed(): void;
}

/**
 * What the hosts keep in Redis: for each a key that expires and, beside it, hashes with its records; and one
 * channel on which they tell each other of changes. Commands reject at once while the link is down; what Redis refuses
 * rejects with its reply, and the link is none the worse.
 */
export class RedisReplicaStore {
  readonly #url: string;
  readonly #base: string;
  readonly #channel: string;
  readonly #subscriber: Redis;
  readonly #commands: Redis;
  /** The name of the Redis process that commands went to last. */
  #runId: string | undefined;
  /** How often the own part was begun. */
  #begun = 0;
  #isSubscribed = false;
  #resubscribeTimer: NodeJS.Timeout | undefined;
  #soughtMasterAt = Number.NEGATIVE_INFINITY;
  /** What went wrong with the link last. */
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

  /** Connects, and goes on trying; does not wait. */
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

  /** Begins a part anew: alive, and empty. */
  async begin(host: string): Promise<void> {
    this.#begun += 1;
    const commands = this.#commands.multi().unlink(...this.#chunks(host));
    commands.set(this.#alive(host), String(this.#begun), 'EX', TTL_SECONDS);
    for (const chunk of this.#chunks(host)) commands.hset(chunk, MARKER, '1').expire(chunk, TTL_SECONDS);
    await this.#run(commands);
  }

  /** Keeps the records of a change and tells the others, both or neither. */
  async write(message: ClusterMessage): Promise<void> {
    const commands = this.#commands.multi();
    const stored = new Map<string, string[]>();
    const removed = new Map<string, string[]>();
    for (const record of message.records) {
      const key = keyOf(record.app, record.channel, record.user);
      const chunk = `${this.#alive(message.host)}:${chunkOf(key)}`;
      if (record.count === 0) put(removed, chunk, key);
      else put(stored, chunk, key, valueText(record));
    }
    // A chunk that was lost comes to be by this; nobody may be left to notice it.
    for (const [chunk, fields] of stored) commands.hset(chunk, ...fields).expire(chunk, TTL_SECONDS);
    for (const [chunk, fields] of removed) commands.hdel(chunk, ...fields);
    commands.publish(this.#channel, messageText(message));
    await this.#run(commands);
  }

  /**
   * Prolongs the life of a part and says so, the latter also if the former is refused. False: something of it is not there
   * any more.
   */
  async keepAlive(message: ClusterMessage): Promise<boolean> {
    // No transaction: while its memory is full Redis refuses whatever is in one.
    const commands = this.#commands.pipeline().expire(this.#alive(message.host), TTL_SECONDS);
    for (const chunk of this.#chunks(message.host)) commands.expire(chunk, TTL_SECONDS);
    commands.publish(this.#channel, messageText(message));
    this.#expectReply(this.#subscriber, this.#subscriber.ping()).catch(ignoreReplyError);
    const replies = await this.#run(commands);
    return replies.slice(0, -1).every((reply) => reply === 1);
  }

  /** Takes a part away and says so, the latter also if the former is refused. */
  async remove(message: ClusterMessage): Promise<void> {
    const commands = this.#commands
      .pipeline()
      .unlink(this.#alive(message.host), ...this.#chunks(message.host))
      .publish(this.#channel, messageText(message));
    await this.#run(commands);
  }

  async publish(message: ClusterMessage): Promise<void> {
    await this.#commands.publish(this.#channel, messageText(message));
  }

  /**
   * Reads a part, some records at a time; one may come twice. Resolves with false if the host is not alive, dies
   * or begins anew meanwhile, when what was read may not be all.
   */
  async read(host: string, onRecords: (records: readonly PresenceRecord[]) => void): Promise<boolean> {
    const begun = await this.#commands.get(this.#alive(host));
    if (begun === null) return false;
    for (const chunk of this.#chunks(host)) {
      let cursor = '0';
      do {
        const [next, fields] = await this.#commands.hscanBuffer(chunk, cursor, 'COUNT', SCAN_COUNT);
        onRecords(recordsOf(fields));
        cursor = next.toString();
      } while (cursor !== '0');
    }
    const chunks = await this.#commands.exists(...this.#chunks(host));
    return chunks === CHUNKS && (await this.#commands.get(this.#alive(host))) === begun;
  }

  #alive(host: string): string {
    return `${this.#base}{${host}}`;
  }

  #chunks(host: string): string[] {
    return Array.from({ length: CHUNKS }, (_, number) => `${this.#alive(host)}:${number}`);
  }

  /** To be called when a connection is up: once both are, the others can be heard. */
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

  /** `undefined` where it may not be asked for. */
  async #readRunId(): Promise<string | undefined> {
    const info = await this.#commands.info('server').catch(() => '');
    return /^run_id:(\w+)/m.exec(info)?.[1];
  }

  /** The replies to all of a transaction or a pipeline. */
  async #run(commands: ReturnType<Redis['multi']>): Promise<unknown[]> {
    return this.#expectReply(this.#commands, repliesTo(commands));
  }

  /** Ends a connection on which a command was not answered. A no is an answer. */
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

/** Rejects if one is missing: with what was not answered, and else with the first no. */
async function repliesTo(commands: ReturnType<Redis['multi']>): Promise<unknown[]> {
  const replies = (await commands.exec()) ?? [];
  const errors = replies.flatMap(([error]) => error ?? []);
  const [error] = [...errors.filter((error) => !isReplyError(error)), ...errors];
  if (error !== undefined) throw error;
  return replies.map(([, reply]) => reply);
}

/** A connection that is not answered on was ended; a no is an answer. */
function ignoreReplyError(): void {}

function put(lists: Map<string, string[]>, name: string, ...items: string[]): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, items);
  else list.push(...items);
}

/** A field that is not UTF-8 is left out: decoding it would make one user of two. */
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

/** FNV-1a: cheap, and even enough. */
function chunkOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % CHUNKS;
}
