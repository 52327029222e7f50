import { isReplyError } from '../../../shared/redis/errors.ts';
import { forEachInSlices } from '../../../shared/scheduling/time-slices.ts';
import type { PresenceRecord, PresenceRegistry } from '../registry.ts';
import { type ClusterMessage, keyOf } from './message.ts';
import type { RedisReplicaStore } from './redis-store.ts';

/** A host without a message for this long is dead; its keys in Redis expire at about the same time. */
const HOST_TIMEOUT_MS = 7_000;
/** Attack: forged hosts. */
const HOSTS_MAX = 64;
/** Attack: forged users. Per host, and more than a real host can have. */
const RECORDS_MAX = 2_000_000;
/** Minimum time between two reads of one replica, and of one that did not fit into the name budget. */
const READ_AGAIN_MS = 1_000;
const READ_TRUNCATED_AGAIN_MS = 30_000;

/** `unread` → `reading` → `known`; a missed delta leads back to `reading`. */
type HostState = 'unread' | 'reading' | 'known';

interface RemoteReplica {
  readonly id: string;
  readonly replica: string;
  state: HostState;
  /** A delta was missed since the last read. */
  stale: boolean;
  isVoter: boolean;
  sequence: number;
  lastMessageAt: number;
  readAt: number;
  /** Number of its records. */
  size: number;
  /** Records were left out since the last read, because the names of all hosts had reached the budget. */
  isTruncated: boolean;
  /** The error reply to the last read; `undefined` if it succeeded. */
  readError: Error | undefined;
  /** Keys with a delta during the read. A delta is newer than what is read. */
  changed: Set<string> | undefined;
}

/** Maintains the replicas of the other hosts in the presence registry. */
export class RemoteReplicas {
  readonly #registry: PresenceRegistry;
  readonly #store: RedisReplicaStore;
  readonly #namesMaxBytes: number;
  readonly #hosts = new Map<string, RemoteReplica>();
  #ids: readonly string[] = [];
  #voters: readonly string[] = [];
  #replicaCount = 0;
  /** While true, entries that are read for the first time are older than this host. */
  #isJoining = true;

  /** `namesMaxBytes`: with more in the registry, no new names of other hosts are accepted. */
  constructor(options: { registry: PresenceRegistry; store: RedisReplicaStore; namesMaxBytes: number }) {
    this.#registry = options.registry;
    this.#namesMaxBytes = options.namesMaxBytes;
    this.#store = options.store;
  }

  /** Ids of all other hosts. */
  get ids(): readonly string[] {
    return this.#ids;
  }

  /** Ids of the other hosts that may own channels. */
  get voters(): readonly string[] {
    return this.#voters;
  }

  /** The error reply to the last read of a host, if one failed. */
  get readError(): Error | undefined {
    for (const { readError } of this.#hosts.values()) if (readError !== undefined) return readError;
    return undefined;
  }

  /** Whether records of other hosts are missing, because names had reached the budget. */
  get isTruncated(): boolean {
    return [...this.#hosts.values()].some((host) => host.isTruncated);
  }

  /** From now on an unknown host is new, and its entries are reported. */
  settle(): void {
    this.#isJoining = false;
  }

  handle(message: ClusterMessage, now: number): void {
    if (message.kind === 'leave') {
      const host = this.#hosts.get(message.host);
      if (host !== undefined) this.#drop(host);
      return;
    }
    const host = this.#hosts.get(message.host) ?? this.#add(message);
    if (host === undefined) return;
    host.lastMessageAt = now;
    if (host.isVoter !== message.isVoter) {
      host.isVoter = message.isVoter;
      this.#updateIds();
    }
    this.#apply(host, message);
    if (message.complete && (host.state === 'unread' || host.stale)) void this.#read(host, now);
  }

  /** Call it periodically. Removes hosts that timed out, and returns their ids. */
  evictExpired(now: number): string[] {
    const expired = [...this.#hosts.values()].filter(
      ({ lastMessageAt }) => now - lastMessageAt > HOST_TIMEOUT_MS,
    );
    for (const host of expired) this.#drop(host);
    return expired.map(({ id }) => id);
  }

  /** Restarts all timeouts, because this process was suspended and could not receive messages. */
  resetTimers(now: number): void {
    for (const host of this.#hosts.values()) host.lastMessageAt = now;
  }

  #add({ host: id, sequence }: ClusterMessage): RemoteReplica | undefined {
    if (this.#hosts.size >= HOSTS_MAX) return undefined;
    this.#replicaCount += 1;
    const host: RemoteReplica = {
      id,
      replica: `host ${id} ${this.#replicaCount}`,
      state: 'unread',
      stale: false,
      isVoter: false,
      sequence,
      lastMessageAt: 0,
      readAt: Number.NEGATIVE_INFINITY,
      size: 0,
      isTruncated: false,
      readError: undefined,
      changed: undefined,
    };
    this.#hosts.set(id, host);
    this.#updateIds();
    this.#registry.addReplica(host.replica, 'host');
    return host;
  }

  /** The lists are read far more often than they change. */
  #updateIds(): void {
    const hosts = [...this.#hosts.values()];
    this.#ids = hosts.map(({ id }) => id);
    this.#voters = hosts.filter(({ isVoter }) => isVoter).map(({ id }) => id);
  }

  /** Applies a message, and detects missed ones. */
  #apply(host: RemoteReplica, { kind, sequence, records }: ClusterMessage): void {
    const expected = kind === 'delta' ? host.sequence + 1 : host.sequence;
    if (sequence !== expected && host.state !== 'unread') host.stale = true;
    host.sequence = sequence;
    if (host.state === 'unread') return;
    this.#set(host, records);
    for (const { app, channel, user } of records) host.changed?.add(keyOf(app, channel, user));
  }

  /**
   * Reads the replica of a host from Redis, and removes records that it lacks. Deltas that arrive during the read have
   * precedence. A host writes before it publishes, so no change is missed.
   */
  async #read(host: RemoteReplica, now: number): Promise<void> {
    const minIntervalMs = host.isTruncated ? READ_TRUNCATED_AGAIN_MS : READ_AGAIN_MS;
    if (host.state === 'reading' || now - host.readAt < minIntervalMs) return;
    const before = host.state;
    const isSilent = this.#isJoining && before === 'unread';
    const changed = new Set<string>();
    const found = new Set<string>();
    host.state = 'reading';
    host.stale = false;
    host.isTruncated = false;
    host.changed = changed;
    const onRecords = (records: readonly PresenceRecord[]): void => {
      if (this.#hosts.get(host.id) !== host) return;
      const unchanged = records.filter(({ app, channel, user }) => !changed.has(keyOf(app, channel, user)));
      this.#set(host, unchanged, isSilent);
      for (const { app, channel, user } of unchanged) found.add(keyOf(app, channel, user));
    };
    const isWhole = await this.#store.read(host.id, onRecords).then(
      (isComplete) => {
        host.readError = undefined;
        return isComplete;
      },
      (error: unknown) => {
        // `PresenceCluster` reports connection errors.
        if (isReplyError(error)) host.readError = error;
        return false;
      },
    );
    if (isWhole) await this.#sweep(host, (key) => !found.has(key) && !changed.has(key));
    host.changed = undefined;
    host.readAt = performance.now();
    host.state = isWhole ? 'known' : before;
    if (!isWhole || host.isTruncated) host.stale = true;
  }

  #set(host: RemoteReplica, records: readonly PresenceRecord[], silent = false): void {
    for (const record of records) {
      if (record.count > 0 && this.#isFull(host)) {
        host.isTruncated = true;
        host.stale = true;
        continue;
      }
      host.size += this.#registry.setCount(host.replica, record, silent);
    }
  }

  #isFull({ size }: RemoteReplica): boolean {
    return size >= RECORDS_MAX || this.#registry.nameBytes >= this.#namesMaxBytes;
  }

  async #sweep(host: RemoteReplica, isObsolete: (key: string) => boolean): Promise<void> {
    const remove = ([app, channel, user]: [string, string, string]): void => {
      if (!isObsolete(keyOf(app, channel, user))) return;
      host.size += this.#registry.setCount(host.replica, { app, channel, user, count: 0 }, false);
    };
    await forEachInSlices(this.#registry.hostKeys(host.replica), remove);
  }

  #drop(host: RemoteReplica): void {
    this.#hosts.delete(host.id);
    this.#updateIds();
    void this.#sweep(host, () => true).then(() => this.#registry.dropHost(host.replica));
  }
}
