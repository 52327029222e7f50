import { isDiscarded, isReplyError } from '../../../shared/redis/errors.ts';
import { forEachInSlices } from '../../../shared/scheduling/time-slices.ts';
import type { PresenceRecord, PresenceRegistry } from '../registry.ts';
import { type ClusterMessage, keyOf, namesOf, RECORDS_PER_MESSAGE } from './message.ts';
import type { RedisReplicaStore } from './redis-store.ts';

/** How long changes are collected before they are told: many at once cost little more than one. */
const COLLECT_MS = 20;
/** A message ends behind the record with which it gets longer than this, in characters. */
const MESSAGE_LENGTH = 256 * 1024;
/** Attack: changes without end while Redis is away or takes none. Beyond this many all is written anew instead. */
const CHANGED_MAX = 200_000;

/** `absent`: not in Redis, as far as is known → `writing` → `complete`. */
type ReplicaState = 'absent' | 'writing' | 'complete';

/**
 * This host's part of the presence registry, kept in Redis and told to the other hosts. Counts are written as they are, not
 * by how much they changed, so to write one again does no harm; what may have failed is written again.
 */
export class LocalReplica {
  readonly #host: string;
  readonly #registry: PresenceRegistry;
  readonly #store: RedisReplicaStore;
  readonly #isVoter: () => boolean;
  #state: ReplicaState = 'absent';
  #sequence = 0;
  /** Keys whose counts in Redis may not be those of the presence registry. */
  readonly #changed = new Set<string>();
  /** Whether every key of the presence registry has been in `#changed` since the part was begun. */
  #listed = false;
  #working = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
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

  /** Redis's no to what it was to keep for this host last; `undefined` when nothing waits for that. */
  get writeError(): Error | undefined {
    return this.#writeError;
  }

  /** A count of this host is another now. */
  change(app: string, channel: string, user: string): void {
    // Begun anew, the part gets all there is.
    if (this.#state === 'absent') return;
    this.#changed.add(keyOf(app, channel, user));
    const waits = this.#writeError !== undefined;
    if (this.#changed.size > CHANGED_MAX && (waits || !this.#store.isLive)) this.#invalidate();
    if (!waits) this.#wake();
  }

  /** Says hello to the others, and makes good what was not written. */
  async announce(): Promise<void> {
    await this.#store.publish(this.#message('hello', [])).catch(ignoreUntilNextHeartbeat);
    await this.sendHeartbeat();
  }

  /** To be called at a steady pace: keeps the part alive, says so, and tries again what was refused. */
  async sendHeartbeat(): Promise<void> {
    if (this.#closed || !this.#store.isLive) return;
    const wasThere = this.#state !== 'absent';
    try {
      // One that may not be written yet is said to live, too: those who know it keep it.
      const isThere = await this.#store.keepAlive(this.#message('heartbeat', []));
      if (wasThere && !isThere) this.#invalidate();
      if (this.#state === 'complete' && this.#changed.size === 0) this.#writeError = undefined;
    } catch (error) {
      this.#recordError(error);
    }
    this.#wake();
  }

  /** What was written may be lost in part, without a trace: all is written anew. */
  rewrite(): void {
    if (this.#state !== 'absent') this.#invalidate();
  }

  /** Takes the part away from Redis and tells the others. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (!this.#store.isLive) return;
    this.#sequence += 1;
    await this.#store.remove(this.#message('leave', [])).catch(ignoreUntilNextHeartbeat);
  }

  /** The part is begun anew when the link allows. */
  #invalidate(): void {
    this.#state = 'absent';
    this.#changed.clear();
  }

  #wake(): void {
    if (this.#working || this.#closed) return;
    if (this.#state === 'complete' && this.#changed.size === 0) return;
    this.#working = true;
    this.#timer = setTimeout(() => void this.#work(), COLLECT_MS);
  }

  async #work(): Promise<void> {
    let failed = false;
    try {
      if (this.#state === 'absent') await this.#begin();
      while (this.#changed.size > 0 && !this.#closed) await this.#writeSome();
      if (this.#state === 'writing' && this.#listed) await this.#complete();
    } catch (error) {
      // The next beat, or the next link, tries again.
      this.#recordError(error);
      failed = true;
    }
    this.#working = false;
    if (!failed) this.#wake();
  }

  async #begin(): Promise<void> {
    await this.#store.begin(this.#host);
    this.#writeError = undefined;
    this.#state = 'writing';
    this.#listed = false;
    await forEachInSlices(this.#registry.localKeys(), ([app, channel, user]) => {
      this.#changed.add(keyOf(app, channel, user));
    });
    this.#listed = true;
  }

  async #writeSome(): Promise<void> {
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
      // Nobody has heard this number. Were it left out, all would read the part anew, after each attempt.
      if (isDiscarded(error)) this.#sequence -= 1;
      if (this.#state !== 'absent') for (const key of keys) this.#changed.add(key);
      throw error;
    }
  }

  async #complete(): Promise<void> {
    this.#state = 'complete';
    // A number is left out: whoever had an older part misses it, and reads this one.
    this.#sequence += 1;
    await this.sendHeartbeat();
  }

  /** What was not answered is the link's affair. */
  #recordError(error: unknown): void {
    if (isReplyError(error)) this.#writeError = error;
  }

  #message(kind: ClusterMessage['kind'], records: readonly PresenceRecord[]): ClusterMessage {
    const complete = this.#state === 'complete';
    return { kind, host: this.#host, sequence: this.#sequence, complete, isVoter: this.#isVoter(), records };
  }
}

function ignoreUntilNextHeartbeat(): void {}
