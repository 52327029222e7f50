import { isDiscarded, isReplyError } from '../../../shared/redis/errors.ts';
import { forEachInSlices } from '../../../shared/scheduling/time-slices.ts';
import type { PresenceRecord, PresenceRegistry } from '../registry.ts';
import { type ClusterMessage, keyOf, namesOf, RECORDS_PER_MESSAGE } from './message.ts';
import type { RedisReplicaStore } from './redis-store.ts';

/** How long changes are collected for one message: many cost little more than one. */
const COLLECT_MS = 20;
/** A message ends after the record with which it exceeds this, in characters. */
const MESSAGE_LENGTH = 256 * 1024;
/** Attack: very many changes while Redis accepts none. Beyond this number the whole replica is written again. */
const CHANGED_MAX = 200_000;

/**
 * `absent`: may be missing in Redis → `collecting` the keys of the registry → `writing` them → `complete`. A loss in Redis
 * leads back to `absent`.
 */
type ReplicaState = 'absent' | 'collecting' | 'writing' | 'complete';

/** `idle` → `writing`: scheduled or in progress → `idle`; `closed` forever. */
type WriterState = 'idle' | 'writing' | 'closed';

/**
 * Writes the presence entries of this host to Redis and publishes their changes to the other hosts. It writes counts, not
 * differences, so repeating a write is harmless, and each write that may have failed is repeated.
 */
export class LocalReplica {
  readonly #host: string;
  readonly #registry: PresenceRegistry;
  readonly #store: RedisReplicaStore;
  readonly #isVoter: () => boolean;
  #state: ReplicaState = 'absent';
  #sequence = 0;
  /** Keys whose counts in Redis may be outdated. */
  readonly #changed = new Set<string>();
  #writer: WriterState = 'idle';
  #timer: NodeJS.Timeout | undefined;
  #writeError: Error | undefined;

  constructor(options: {
    host: string;
    registry: PresenceRegistry;
    store: RedisReplicaStore;
    isVoter: () => boolean;
  }) {
    this.#host = options.host;
    this.#registry = options.registry;
    this.#store = options.store;
    this.#isVoter = options.isVoter;
  }

  /** The error reply to the last write of this host; `undefined` if no write has to be repeated. */
  get writeError(): Error | undefined {
    return this.#writeError;
  }

  /** A count of this host has changed. */
  change(app: string, channel: string, user: string): void {
    // `#begin` will write every count.
    if (this.#state === 'absent') return;
    this.#changed.add(keyOf(app, channel, user));
    const isFailing = this.#writeError !== undefined;
    if (this.#changed.size > CHANGED_MAX && (isFailing || !this.#store.isLive)) this.#invalidate();
    if (!isFailing) this.#scheduleWrite();
  }

  /** Publishes a hello, and repeats failed writes. */
  async announce(): Promise<void> {
    await this.#store.publish(this.#message('hello', [])).catch(ignoreUntilNextHeartbeat);
    await this.sendHeartbeat();
  }

  /** Call it periodically. Extends the expiry of the keys of this host, publishes a heartbeat, and repeats failed writes. */
  async sendHeartbeat(): Promise<void> {
    if (this.#writer === 'closed' || !this.#store.isLive) return;
    const wasWritten = this.#state !== 'absent';
    try {
      // Sent even if nothing may be written yet: hosts that know this one keep its entries.
      const exists = await this.#store.keepAlive(this.#message('heartbeat', []));
      if (wasWritten && !exists) this.#invalidate();
      if (this.#state === 'complete' && this.#changed.size === 0) this.#writeError = undefined;
    } catch (error) {
      this.#recordError(error);
    }
    this.#scheduleWrite();
  }

  /** Writes everything again, because Redis may have lost a part of it. */
  rewrite(): void {
    if (this.#state !== 'absent') this.#invalidate();
  }

  /** Removes the entries from Redis, and notifies the other hosts. */
  async close(): Promise<void> {
    this.#writer = 'closed';
    clearTimeout(this.#timer);
    if (!this.#store.isLive) return;
    this.#sequence += 1;
    await this.#store.remove(this.#message('leave', [])).catch(ignoreUntilNextHeartbeat);
  }

  /** The next write begins the replica again. */
  #invalidate(): void {
    this.#state = 'absent';
    this.#changed.clear();
  }

  #scheduleWrite(): void {
    if (this.#writer !== 'idle') return;
    if (this.#state === 'complete' && this.#changed.size === 0) return;
    this.#writer = 'writing';
    this.#timer = setTimeout(() => void this.#writeAll(), COLLECT_MS);
  }

  async #writeAll(): Promise<void> {
    let hasFailed = false;
    try {
      if (this.#state === 'absent') await this.#begin();
      while (this.#changed.size > 0 && this.#writer === 'writing') await this.#writeBatch();
      if (this.#state === 'writing') await this.#complete();
    } catch (error) {
      // The next heartbeat or connection repeats it.
      this.#recordError(error);
      hasFailed = true;
    }
    if (this.#writer === 'writing') this.#writer = 'idle';
    if (!hasFailed) this.#scheduleWrite();
  }

  async #begin(): Promise<void> {
    await this.#store.begin(this.#host);
    this.#writeError = undefined;
    this.#state = 'collecting';
    await forEachInSlices(this.#registry.localKeys(), ([app, channel, user]) => {
      this.#changed.add(keyOf(app, channel, user));
    });
    // Redis may have lost the replica in the meantime.
    if (this.#state === 'collecting') this.#state = 'writing';
  }

  async #writeBatch(): Promise<void> {
    const keys: string[] = [];
    const records: PresenceRecord[] = [];
    let length = 0;
    for (const key of this.#changed) {
      if (records.length === RECORDS_PER_MESSAGE || length > MESSAGE_LENGTH) break;
      this.#changed.delete(key);
      const record = this.#registry.localRecord(...namesOf(key));
      keys.push(key);
      records.push(record);
      length += key.length + (record.info?.length ?? 0);
    }
    this.#sequence += 1;
    try {
      await this.#store.write(this.#message('delta', records));
      this.#writeError = undefined;
    } catch (error) {
      // The message was not published. A gap in the sequence would make each host read the whole replica.
      if (isDiscarded(error)) this.#sequence -= 1;
      if (this.#state !== 'absent') for (const key of keys) this.#changed.add(key);
      throw error;
    }
  }

  async #complete(): Promise<void> {
    this.#state = 'complete';
    // A gap in the sequence makes hosts with an older replica read this one.
    this.#sequence += 1;
    await this.sendHeartbeat();
  }

  /** Ignores connection errors, which `PresenceCluster` logs. */
  #recordError(error: unknown): void {
    if (isReplyError(error)) this.#writeError = error;
  }

  #message(kind: ClusterMessage['kind'], records: readonly PresenceRecord[]): ClusterMessage {
    const complete = this.#state === 'complete';
    return { kind, host: this.#host, sequence: this.#sequence, complete, isVoter: this.#isVoter(), records };
  }
}

function ignoreUntilNextHeartbeat(): void {}
