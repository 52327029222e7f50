import { forEachInSlices } from '../../../shared/scheduling/time-slices.ts';
import type { PresenceRecord, PresenceRegistry } from '../registry.ts';
import { type ClusterMessage, keyOf } from './message.ts';
import type { RedisReplicaStore } from './redis-store.ts';

/** After this long without a word a host is dead: its keys in Redis are about to expire, too. */
const HOST_TIMEOUT_MS = 7_000;
/** Attack: hosts that are made up. */
const HOSTS_MAX = 64;
/** Attack: users that are made up. Per host; more than one host can hold. */
const RECORDS_MAX = 2_000_000;
/** A part that is found to be incomplete is not read again sooner. */
const READ_AGAIN_MS = 1_000;

/** `unread` → `reading` → `known`; a missed change leads back to `reading`. */
type HostState = 'unread' | 'reading' | 'known';

interface RemoteReplica {
  readonly id: string;
  readonly replica: string;
  state: HostState;
  /** Something was missed since the part was read last. */
  stale: boolean;
  isVoter: boolean;
  sequence: number;
  lastMessageAt: number;
  readAt: number;
  /** Records that it holds. */
  size: number;
  /** While reading: keys that were told meanwhile. What was told is newer than what is read. */
  changed: Set<string> | undefined;
}

/** The parts of the other hosts, as replicas of the presence registry. */
export class RemoteReplicas {
  readonly #registry: PresenceRegistry;
  readonly #store: RedisReplicaStore;
  readonly #hosts = new Map<string, RemoteReplica>();
  #ids: readonly string[] = [];
  #voters: readonly string[] = [];
  #replicaCount = 0;
  /** What is read now was there before this host was. */
  #isNew = true;

  constructor(options: { registry: PresenceRegistry; store: RedisReplicaStore }) {
    this.#registry = options.registry;
    this.#store = options.store;
  }

  /** Ids of all of them. */
  get ids(): readonly string[] {
    return this.#ids;
  }

  /** Ids of those that speak for all. */
  get voters(): readonly string[] {
    return this.#voters;
  }

  /** From now on a host that is heard for the first time is new, and what it has is news. */
  settle(): void {
    this.#isNew = false;
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
      this.#list();
    }
    this.#apply(host, message);
    if (message.complete && (host.state === 'unread' || host.stale)) void this.#read(host, now);
  }

  /** To be called at a steady pace: who has been silent for too long is dead, and its users have left. */
  evictExpired(now: number): string[] {
    const expired = [...this.#hosts.values()].filter(
      ({ lastMessageAt }) => now - lastMessageAt > HOST_TIMEOUT_MS,
    );
    for (const host of expired) this.#drop(host);
    return expired.map(({ id }) => id);
  }

  /** This process was not awake: that it heard nothing says nothing of the others. */
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
      changed: undefined,
    };
    this.#hosts.set(id, host);
    this.#list();
    this.#registry.addReplica(host.replica, 'host');
    return host;
  }

  /** Who is there is asked far more often than it changes. */
  #list(): void {
    const hosts = [...this.#hosts.values()];
    this.#ids = hosts.map(({ id }) => id);
    this.#voters = hosts.filter(({ isVoter }) => isVoter).map(({ id }) => id);
  }

  /** Takes what is told, and notices what was not. */
  #apply(host: RemoteReplica, { kind, sequence, records }: ClusterMessage): void {
    const expected = kind === 'delta' ? host.sequence + 1 : host.sequence;
    if (sequence !== expected && host.state !== 'unread') host.stale = true;
    host.sequence = sequence;
    if (host.state === 'unread') return;
    this.#set(host, records);
    for (const { app, channel, user } of records) host.changed?.add(keyOf(app, channel, user));
  }

  /**
   * Reads the part of a host in Redis: what is there counts, what is not is gone, except where the host has told
   * something since. It writes before it tells, so nothing falls between.
   */
  async #read(host: RemoteReplica, now: number): Promise<void> {
    if (host.state === 'reading' || now - host.readAt < READ_AGAIN_MS) return;
    const before = host.state;
    const silent = this.#isNew && before === 'unread';
    const changed = new Set<string>();
    const found = new Set<string>();
    host.state = 'reading';
    host.stale = false;
    host.changed = changed;
    const onRecords = (records: readonly PresenceRecord[]): void => {
      if (this.#hosts.get(host.id) !== host) return;
      const unchanged = records.filter(({ app, channel, user }) => !changed.has(keyOf(app, channel, user)));
      this.#set(host, unchanged, silent);
      for (const { app, channel, user } of unchanged) found.add(keyOf(app, channel, user));
    };
    const whole = await this.#store.read(host.id, onRecords).catch(() => false);
    if (whole) await this.#sweep(host, (key) => !found.has(key) && !changed.has(key));
    host.changed = undefined;
    host.readAt = performance.now();
    host.state = whole ? 'known' : before;
    if (!whole) host.stale = true;
  }

  #set(host: RemoteReplica, records: readonly PresenceRecord[], silent = false): void {
    for (const record of records) {
      if (record.count > 0 && host.size >= RECORDS_MAX) continue;
      host.size += this.#registry.setCount(host.replica, record, silent);
    }
  }

  async #sweep(host: RemoteReplica, goes: (key: string) => boolean): Promise<void> {
    const forget = ([app, channel, user]: [string, string, string]): void => {
      if (!goes(keyOf(app, channel, user))) return;
      host.size += this.#registry.setCount(host.replica, { app, channel, user, count: 0 }, false);
    };
    await forEachInSlices(this.#registry.hostKeys(host.replica), forget);
  }

  #drop(host: RemoteReplica): void {
    this.#hosts.delete(host.id);
    this.#list();
    void this.#sweep(host, () => true).then(() => this.#registry.dropHost(host.replica));
  }
}
