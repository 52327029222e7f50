import { forEachInSlices } from '../../../shared/scheduling/time-slices.ts';
import type { PresenceRecord, PresenceRegistry } from '../registry.ts';
import { type HostMessage, keyOf } from './message.ts';
import type { HostStore } from './redis-store.ts';

/** After this long without a word a host is dead: its keys in Redis are about to expire, too. */
const GRACE_MS = 7_000;
/** Attack: hosts that are made up. */
const HOSTS_MAX = 64;
/** Attack: users that are made up. Per host; more than one host can hold. */
const RECORDS_MAX = 2_000_000;
/** A part that is found to be incomplete is not read again sooner. */
const READ_AGAIN_MS = 1_000;

/** `unread` → `reading` → `known`; a missed change leads back to `reading`. */
type HostState = 'unread' | 'reading' | 'known';

interface OtherHost {
  readonly id: string;
  readonly replica: string;
  state: HostState;
  /** Something was missed since the part was read last. */
  stale: boolean;
  speaks: boolean;
  sequence: number;
  heardAt: number;
  readAt: number;
  /** Records that it holds. */
  size: number;
  /** While reading: keys that were told meanwhile. What was told is newer than what is read. */
  told: Set<string> | undefined;
}

/** The parts of the other hosts, as columns of the roster. */
export class OtherHosts {
  readonly #registry: PresenceRegistry;
  readonly #store: HostStore;
  readonly #hosts = new Map<string, OtherHost>();
  #ids: readonly string[] = [];
  #speakers: readonly string[] = [];
  #columns = 0;
  /** What is read now was there before this host was. */
  #isNew = true;

  constructor(options: { registry: PresenceRegistry; store: HostStore }) {
    this.#registry = options.registry;
    this.#store = options.store;
  }

  /** Ids of all of them. */
  get ids(): readonly string[] {
    return this.#ids;
  }

  /** Ids of those that speak for all. */
  get speakers(): readonly string[] {
    return this.#speakers;
  }

  /** From now on a host that is heard for the first time is new, and what it has is news. */
  settle(): void {
    this.#isNew = false;
  }

  hear(message: HostMessage, now: number): void {
    if (message.kind === 'bye') {
      const host = this.#hosts.get(message.host);
      if (host !== undefined) this.#drop(host);
      return;
    }
    const host = this.#hosts.get(message.host) ?? this.#welcome(message);
    if (host === undefined) return;
    host.heardAt = now;
    if (host.speaks !== message.speaks) {
      host.speaks = message.speaks;
      this.#list();
    }
    this.#follow(host, message);
    if (message.complete && (host.state === 'unread' || host.stale)) void this.#read(host, now);
  }

  /** To be called at a steady pace: who has been silent for too long is dead, and its users have left. */
  bury(now: number): string[] {
    const dead = [...this.#hosts.values()].filter(({ heardAt }) => now - heardAt > GRACE_MS);
    for (const host of dead) this.#drop(host);
    return dead.map(({ id }) => id);
  }

  /** This process was not awake: that it heard nothing says nothing of the others. */
  excuse(now: number): void {
    for (const host of this.#hosts.values()) host.heardAt = now;
  }

  #welcome({ host: id, sequence }: HostMessage): OtherHost | undefined {
    if (this.#hosts.size >= HOSTS_MAX) return undefined;
    this.#columns += 1;
    const host: OtherHost = {
      id,
      replica: `host ${id} ${this.#columns}`,
      state: 'unread',
      stale: false,
      speaks: false,
      sequence,
      heardAt: 0,
      readAt: Number.NEGATIVE_INFINITY,
      size: 0,
      told: undefined,
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
    this.#speakers = hosts.filter(({ speaks }) => speaks).map(({ id }) => id);
  }

  /** Takes what is told, and notices what was not. */
  #follow(host: OtherHost, { kind, sequence, records }: HostMessage): void {
    const expected = kind === 'change' ? host.sequence + 1 : host.sequence;
    if (sequence !== expected && host.state !== 'unread') host.stale = true;
    host.sequence = sequence;
    if (host.state === 'unread') return;
    this.#set(host, records);
    for (const { app, channel, user } of records) host.told?.add(keyOf(app, channel, user));
  }

  /**
   * Reads the part of a host in Redis: what is there counts, what is not is gone, except where the host has told
   * something since. It writes before it tells, so nothing falls between.
   */
  async #read(host: OtherHost, now: number): Promise<void> {
    if (host.state === 'reading' || now - host.readAt < READ_AGAIN_MS) return;
    const before = host.state;
    const silent = this.#isNew && before === 'unread';
    const told = new Set<string>();
    const found = new Set<string>();
    host.state = 'reading';
    host.stale = false;
    host.told = told;
    const take = (records: readonly PresenceRecord[]): void => {
      if (this.#hosts.get(host.id) !== host) return;
      const untold = records.filter(({ app, channel, user }) => !told.has(keyOf(app, channel, user)));
      this.#set(host, untold, silent);
      for (const { app, channel, user } of untold) found.add(keyOf(app, channel, user));
    };
    const whole = await this.#store.read(host.id, take).catch(() => false);
    if (whole) await this.#sweep(host, (key) => !found.has(key) && !told.has(key));
    host.told = undefined;
    host.readAt = performance.now();
    host.state = whole ? 'known' : before;
    if (!whole) host.stale = true;
  }

  #set(host: OtherHost, records: readonly PresenceRecord[], silent = false): void {
    for (const record of records) {
      if (record.count > 0 && host.size >= RECORDS_MAX) continue;
      host.size += this.#registry.setCount(host.replica, record, silent);
    }
  }

  async #sweep(host: OtherHost, goes: (key: string) => boolean): Promise<void> {
    const forget = ([app, channel, user]: [string, string, string]): void => {
      if (!goes(keyOf(app, channel, user))) return;
      host.size += this.#registry.setCount(host.replica, { app, channel, user, count: 0 }, false);
    };
    await forEachInSlices(this.#registry.hostKeys(host.replica), forget);
  }

  #drop(host: OtherHost): void {
    this.#hosts.delete(host.id);
    this.#list();
    void this.#sweep(host, () => true).then(() => this.#registry.dropHost(host.replica));
  }
}
