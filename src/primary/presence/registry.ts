import type { PresenceDelta, PresenceJoin, PresenceTransition } from '../../shared/model/presence.ts';
import { forEachInSlices } from '../../shared/scheduling/time-slices.ts';
import { AppPresence, ChannelPresence } from './counts.ts';
import { OrderedMap } from './ordered-map.ts';
import { PresenceReplica } from './replica.ts';

/** The source of a replica: a worker process of this host, or another host. */
export type ReplicaKind = 'process' | 'host';

/** How many connections (`channel` empty) or subscriptions a user has at one source. */
export interface PresenceRecord {
  readonly app: string;
  readonly channel: string;
  readonly user: string;
  readonly count: number;
  readonly info?: string;
}

/** What the registry of one host needs in a cluster. */
export interface ReplicationHooks {
  /** The count of this host, over all its processes, may have changed. */
  changed(app: string, channel: string, user: string): void;
  /** Whether this host, of all, reports the events of a channel. */
  isOwnerOf(app: string, channel: string): boolean;
}

/** Receives changes at once and in order. It must not change the registry. */
export interface PresenceListener {
  /** All hosts see a transition. `isOwner`: this one reports it to webhooks. */
  transition(transition: PresenceTransition, isOwner: boolean): void;
  /** The counts of a channel have changed; the listener reads them when it needs them. */
  countChanged(app: string, channel: string, isOwner: boolean): void;
}

/**
 * Who is present where: the sum of replicas, one for each worker process of this host and one for each other
 * host. Every change is in effect when the call that makes it returns.
 *
 * Removing a large replica takes long, so it is done in slices. Before a count is read or changed, its remains in such
 * replicas are removed first, so that no caller sees them.
 *
 * The name of a replica is never used again, so a late message of a dead source has no effect. A transition is reported
 * once, when a count leaves 0 or reaches 0.
 */
export class PresenceRegistry {
  readonly #replicas: Readonly<Record<ReplicaKind, Map<string, PresenceReplica>>> = {
    process: new Map(),
    host: new Map(),
  };
  /** Replicas of processes that exited, until all their counts are removed. */
  readonly #departing = new Set<PresenceReplica>();
  readonly #apps = new OrderedMap<AppPresence>();
  #channelCount = 0;
  #userCount = 0;
  readonly #listeners: PresenceListener[] = [];
  #replication: ReplicationHooks | undefined;
  /** Changes are not reported to webhooks now. */
  #silent = false;

  apps(): OrderedMap<AppPresence> {
    this.#applyDepartures();
    return this.#apps;
  }

  app(app: string): AppPresence | undefined {
    this.#applyDepartures(app);
    return this.#apps.get(app);
  }

  channel(app: string, channel: string): ChannelPresence | undefined {
    this.#applyDepartures(app, channel);
    return this.#apps.get(app)?.channels.get(channel);
  }

  /** Connections of each named user. */
  usersOf(app: string): OrderedMap<number> | undefined {
    this.#applyDepartures(app, '');
    return this.#apps.get(app)?.users;
  }

  addListener(listener: PresenceListener): void {
    this.#listeners.push(listener);
  }

  setReplication(hooks: ReplicationHooks): void {
    this.#replication = hooks;
  }

  /** Names on all workers and hosts. Those of exited processes count until they are removed. */
  get totals(): { apps: number; channels: number; users: number } {
    return { apps: this.#apps.size, channels: this.#channelCount, users: this.#userCount };
  }

  /** Whether this host, of all, reports the events of a channel. It may change at any time. */
  isOwnerOf(app: string, channel: string): boolean {
    return this.#replication?.isOwnerOf(app, channel) ?? true;
  }

  get hasOtherHosts(): boolean {
    return this.#replicas.host.size > 0;
  }

  /** The cost of the names of all replicas, including those that are being removed. */
  get nameBytes(): number {
    return this.#sum(({ nameBytes }) => nameBytes);
  }

  /** The part of `nameBytes` that belongs to one app. */
  nameBytesOf(app: string): number {
    return this.#sum((replica) => replica.nameBytesOf(app));
  }

  addReplica(name: string, kind: ReplicaKind): void {
    this.#replicas[kind].set(name, new PresenceReplica());
  }

  /** Applies the report of a process; ignores that of an unknown process. */
  change(name: string, deltas: readonly PresenceDelta[]): void {
    const replica = this.#replicas.process.get(name);
    if (replica === undefined) return;
    for (const { app, channel, user, change, info } of deltas) {
      const changed = replica.add(app, channel, user, change);
      this.#add(app, channel, user, changed, info);
      if (changed !== 0) this.#replication?.changed(app, channel, user);
    }
  }

  /**
   * Adds a subscription of a process if the user is already in the channel or the channel is not full; returns whether it
   * did. Check and change are one step, so concurrent joins cannot exceed `max`.
   */
  join(name: string, { app, channel, member, max }: PresenceJoin): boolean {
    const users = this.channel(app, channel)?.users;
    if (users?.has(member.user) !== true && (users?.size ?? 0) >= max) return false;
    this.change(name, [{ app, channel, ...member, change: 1 }]);
    return true;
  }

  /**
   * Sets a count of another host. `silent`: the count is older than this host, and is not reported. Returns by how many
   * records the replica has grown.
   */
  setCount(name: string, { app, channel, user, count, info }: PresenceRecord, silent: boolean): number {
    const replica = this.#replicas.host.get(name);
    if (replica === undefined) return 0;
    const before = replica.get(app, channel, user);
    if (this.#departing.size > 0) this.#applyDepartures(app, channel);
    this.#silent = silent;
    this.#add(app, channel, user, replica.add(app, channel, user, count - before), info);
    this.#silent = false;
    return Math.sign(count) - Math.sign(before);
  }

  /** Removes the replica of a process and all its counts. */
  dropProcess(name: string): void {
    const replica = this.#replicas.process.get(name);
    if (replica === undefined) return;
    this.#replicas.process.delete(name);
    this.#departing.add(replica);
    void forEachInSlices(replica.extract(), this.#subtract).then(() => this.#departing.delete(replica));
  }

  /** Removes the replica of a host. Its counts must all be 0. */
  dropHost(name: string): void {
    this.#replicas.host.delete(name);
  }

  /** Yields the keys of a host. The replica may change while the caller iterates. */
  *hostKeys(name: string): Generator<[app: string, channel: string, user: string]> {
    const replica = this.#replicas.host.get(name);
    if (replica !== undefined) yield* keysOf(replica);
  }

  /** Yields the keys of all processes of this host. A key may occur more than once. */
  *localKeys(): Generator<[app: string, channel: string, user: string]> {
    for (const replica of this.#replicas.process.values()) yield* keysOf(replica);
  }

  /** Returns the sum over all processes of this host. */
  localRecord(app: string, channel: string, user: string): PresenceRecord {
    let count = 0;
    for (const replica of this.#replicas.process.values()) count += replica.get(app, channel, user);
    const info = count > 0 ? this.channel(app, channel)?.infos?.get(user) : undefined;
    return { app, channel, user, count, ...(info !== undefined && { info }) };
  }

  /** Removes the counts of exited processes: of all apps, of one app, or of one channel. */
  #applyDepartures(app?: string, channel?: string): void {
    for (const replica of this.#departing) {
      for (const extracted of replica.extract(app, channel)) this.#subtract(extracted);
    }
  }

  #sum(bytesOf: (replica: PresenceReplica) => number): number {
    let bytes = 0;
    for (const replica of this.#replicas.process.values()) bytes += bytesOf(replica);
    for (const replica of this.#replicas.host.values()) bytes += bytesOf(replica);
    for (const replica of this.#departing) bytes += bytesOf(replica);
    return bytes;
  }

  readonly #subtract = ([app, channel, user, count]: [string, string, string, number]): void => {
    this.#addSettled(app, channel, user, -count, undefined);
    this.#replication?.changed(app, channel, user);
  };

  #add(app: string, channel: string, user: string, change: number, info: string | undefined): void {
    if (change === 0) return;
    if (this.#departing.size > 0) this.#applyDepartures(app, channel);
    this.#addSettled(app, channel, user, change, info);
  }

  #addSettled(app: string, channel: string, user: string, change: number, info: string | undefined): void {
    const presence = this.#appOf(app);
    if (channel === '') this.#addConnections(presence, app, user, change);
    else this.#addSubscriptions(presence, app, channel, user, change, info);
    if (presence.isEmpty) this.#apps.delete(app);
  }

  #addConnections(presence: AppPresence, app: string, user: string, change: number): void {
    presence.connections += change;
    if (user === '') return;
    const crossed = addTo(presence.users, user, change);
    if (crossed !== undefined) this.#userCount += crossed === 'appeared' ? 1 : -1;
    if (crossed === 'appeared') this.#notify('', { kind: 'online', app, user });
    if (crossed === 'vanished') this.#notify('', { kind: 'offline', app, user });
  }

  #addSubscriptions(
    presence: AppPresence,
    app: string,
    channel: string,
    user: string,
    change: number,
    info: string | undefined,
  ): void {
    const channelPresence = this.#channelOf(presence, app, channel);
    presence.subscriptions += change;
    channelPresence.subscriptions += change;
    if (user !== '') this.#addMember(channelPresence, app, channel, user, change, info);
    for (const listener of this.#listeners) listener.countChanged(app, channel, this.#isOwner(app, channel));
    if (channelPresence.subscriptions > 0) return;
    presence.channels.delete(channel);
    this.#channelCount -= 1;
    this.#notify(channel, { kind: 'vacated', app, channel });
  }

  #addMember(
    channelPresence: ChannelPresence,
    app: string,
    channel: string,
    user: string,
    change: number,
    info: string | undefined,
  ): void {
    const crossed = addTo(channelPresence.users, user, change);
    if (info !== undefined && change > 0) storeInfo(channelPresence, user, info);
    if (crossed === undefined) return;
    const kind = crossed === 'appeared' ? 'joined' : 'left';
    const storedInfo = channelPresence.infos?.get(user);
    if (storedInfo === undefined) {
      this.#notify(channel, { kind, app, channel, user });
    } else {
      if (kind === 'left') channelPresence.infos?.delete(user);
      this.#notify(channel, { kind, app, channel, user, info: storedInfo });
    }
  }

  #notify(channel: string, transition: PresenceTransition): void {
    const isOwner = this.#isOwner(transition.app, channel);
    for (const listener of this.#listeners) listener.transition(transition, isOwner);
  }

  #isOwner(app: string, channel: string): boolean {
    return !this.#silent && this.isOwnerOf(app, channel);
  }

  #appOf(app: string): AppPresence {
    const present = this.#apps.get(app);
    if (present !== undefined) return present;
    const presence = new AppPresence();
    this.#apps.set(app, presence);
    return presence;
  }

  #channelOf(presence: AppPresence, app: string, channel: string): ChannelPresence {
    const present = presence.channels.get(channel);
    if (present !== undefined) return present;
    const channelPresence = new ChannelPresence();
    presence.channels.set(channel, channelPresence);
    this.#channelCount += 1;
    this.#notify(channel, { kind: 'occupied', app, channel });
    return channelPresence;
  }
}

function addTo(
  counts: OrderedMap<number>,
  user: string,
  change: number,
): 'appeared' | 'vanished' | undefined {
  const before = counts.get(user) ?? 0;
  const after = before + change;
  if (after > 0) counts.set(user, after);
  else counts.delete(user);
  if (before === 0) return 'appeared';
  return after > 0 ? undefined : 'vanished';
}

function storeInfo(channelPresence: ChannelPresence, user: string, info: string): void {
  channelPresence.infos ??= new Map();
  if (!channelPresence.infos.has(user)) channelPresence.infos.set(user, info);
}

function* keysOf(replica: PresenceReplica): Generator<[app: string, channel: string, user: string]> {
  for (const [app, channel, users] of replica.channels()) {
    for (const user of users.keys()) yield [app, channel, user];
  }
}
