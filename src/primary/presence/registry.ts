import type { RosterDelta, RosterJoin, RosterTransition } from '../../shared/model/presence.ts';
import { forEachInSlices } from '../../shared/scheduling/time-slices.ts';
import { AppPresence, ChannelPresence } from './counts.ts';
import { OrderedMap } from './ordered-map.ts';
import { Column } from './replica.ts';

/** `process`: a worker of this host. `host`: all that another host has. */
export type ColumnKind = 'process' | 'host';

/** How many connections (`channel` empty) or subscriptions a user has at one place. */
export interface RosterRecord {
  readonly app: string;
  readonly channel: string;
  readonly user: string;
  readonly count: number;
  readonly info?: string;
}

/** What a roster needs that is one of several. */
export interface Sharing {
  /** A count of this host, all of its processes together, may be another now. */
  changed(app: string, channel: string, user: string): void;
  /** Whether this host tells the world what happens there. */
  speaksFor(app: string, channel: string): boolean;
}

/** Who hears of changes, at once and in their order; it must not change the roster. */
export interface RosterListener {
  /**
   * `mine`: of all the hosts, which all see it, this one tells the world outside.
   */
  transition(transition: RosterTransition, mine: boolean): void;
  /** The counts of a channel have changed; they are read when they are needed. */
  counted(app: string, channel: string, mine: boolean): void;
}

/**
 * Who is present where: the sum of columns, one for each worker process of this host and one for each other
 * host. Every change is in effect when the call that makes it returns.
 *
 * To take back all that a large column said takes long, so it is done in slices; but whatever is read or changed
 * is settled first, so that nobody sees a rest of it.
 *
 * Columns are named by what cannot come again, a process or a host's id, so that nothing a dead source said can
 * count. A transition is told once, on a count's way from 0 or to 0.
 */
export class Roster {
  readonly #columns: Readonly<Record<ColumnKind, Map<string, Column>>> = {
    process: new Map(),
    host: new Map(),
  };
  /** Columns of processes that are gone, and not taken back yet. */
  readonly #departing = new Set<Column>();
  readonly #apps = new OrderedMap<AppPresence>();
  readonly #listeners: RosterListener[] = [];
  #sharing: Sharing | undefined;
  /** What is done now is no news. */
  #silent = false;

  /** All apps. */
  apps(): OrderedMap<AppPresence> {
    this.#settle();
    return this.#apps;
  }

  app(app: string): AppPresence | undefined {
    this.#settle(app);
    return this.#apps.get(app);
  }

  channel(app: string, channel: string): ChannelPresence | undefined {
    this.#settle(app, channel);
    return this.#apps.get(app)?.channels.get(channel);
  }

  /** Connections of each user with a name. */
  usersOf(app: string): OrderedMap<number> | undefined {
    this.#settle(app, '');
    return this.#apps.get(app)?.users;
  }

  listen(listener: RosterListener): void {
    this.#listeners.push(listener);
  }

  share(sharing: Sharing): void {
    this.#sharing = sharing;
  }

  /** Whether, of all hosts, this one tells the world what happens in a channel. It may change at any time. */
  speaksFor(app: string, channel: string): boolean {
    return this.#sharing?.speaksFor(app, channel) ?? true;
  }

  get hasOtherHosts(): boolean {
    return this.#columns.host.size > 0;
  }

  /** What the names of all processes and hosts cost, those of processes that are gone until they are taken back. */
  get nameBytes(): number {
    let bytes = 0;
    for (const column of this.#columns.process.values()) bytes += column.nameBytes;
    for (const column of this.#columns.host.values()) bytes += column.nameBytes;
    for (const column of this.#departing) bytes += column.nameBytes;
    return bytes;
  }

  addColumn(name: string, kind: ColumnKind): void {
    this.#columns[kind].set(name, new Column());
  }

  /** What a process reports. What is said in the name of a column that is not there is not heard. */
  change(name: string, deltas: readonly RosterDelta[]): void {
    const column = this.#columns.process.get(name);
    if (column === undefined) return;
    for (const { app, channel, user, change, info } of deltas) {
      const changed = column.add(app, channel, user, change);
      this.#add(app, channel, user, changed, info);
      if (changed !== 0) this.#sharing?.changed(app, channel, user);
    }
  }

  /**
   * A process has a subscription more, if its user is in the channel already or there is a place: says whether. Looked
   * at and taken in one step, so that however many come at once there is one for each place.
   */
  admit(name: string, { app, channel, member, max }: RosterJoin): boolean {
    const users = this.channel(app, channel)?.users;
    if (users?.has(member.user) !== true && (users?.size ?? 0) >= max) return false;
    this.change(name, [{ app, channel, ...member, change: 1 }]);
    return true;
  }

  /**
   * What another host has now. `silent`: it had it before this host was there. Says by how many records the
   * column has grown.
   */
  setCount(name: string, { app, channel, user, count, info }: RosterRecord, silent: boolean): number {
    const column = this.#columns.host.get(name);
    if (column === undefined) return 0;
    const before = column.get(app, channel, user);
    if (this.#departing.size > 0) this.#settle(app, channel);
    this.#silent = silent;
    this.#add(app, channel, user, column.add(app, channel, user, count - before), info);
    this.#silent = false;
    return Math.sign(count) - Math.sign(before);
  }

  /** Takes back all that the column of a process said. */
  dropProcess(name: string): void {
    const column = this.#columns.process.get(name);
    if (column === undefined) return;
    this.#columns.process.delete(name);
    this.#departing.add(column);
    void forEachInSlices(column.takeOut(), this.#takeBack).then(() => this.#departing.delete(column));
  }

  /** Forgets the column of a host, whose counts are all 0. */
  dropHost(name: string): void {
    this.#columns.host.delete(name);
  }

  /** What the column of a host has; it may be changed meanwhile. */
  *keysOfHost(name: string): Generator<[app: string, channel: string, user: string]> {
    const column = this.#columns.host.get(name);
    if (column !== undefined) yield* keysOf(column);
  }

  /** What the processes of this host have; a key may come more than once. */
  *ownKeys(): Generator<[app: string, channel: string, user: string]> {
    for (const column of this.#columns.process.values()) yield* keysOf(column);
  }

  /** What the processes of this host have together. */
  ownRecord(app: string, channel: string, user: string): RosterRecord {
    let count = 0;
    for (const column of this.#columns.process.values()) count += column.get(app, channel, user);
    const info = count > 0 ? this.channel(app, channel)?.infos?.get(user) : undefined;
    return { app, channel, user, count, ...(info !== undefined && { info }) };
  }

  /** Takes back what processes that are gone said of all apps, of an app, or of one channel. */
  #settle(app?: string, channel?: string): void {
    for (const column of this.#departing) {
      for (const taken of column.takeOut(app, channel)) this.#takeBack(taken);
    }
  }

  readonly #takeBack = ([app, channel, user, count]: [string, string, string, number]): void => {
    this.#addSettled(app, channel, user, -count, undefined);
    this.#sharing?.changed(app, channel, user);
  };

  #add(app: string, channel: string, user: string, change: number, info: string | undefined): void {
    if (change === 0) return;
    if (this.#departing.size > 0) this.#settle(app, channel);
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
    if (crossed === 'appeared') this.#tell('', { kind: 'online', app, user });
    if (crossed === 'vanished') this.#tell('', { kind: 'offline', app, user });
  }

  #addSubscriptions(
    presence: AppPresence,
    app: string,
    channel: string,
    user: string,
    change: number,
    info: string | undefined,
  ): void {
    const place = this.#channelOf(presence, app, channel);
    presence.subscriptions += change;
    place.subscriptions += change;
    if (user !== '') this.#addMember(place, app, channel, user, change, info);
    for (const listener of this.#listeners) listener.counted(app, channel, this.#isMine(app, channel));
    if (place.subscriptions > 0) return;
    presence.channels.delete(channel);
    this.#tell(channel, { kind: 'vacated', app, channel });
  }

  #addMember(
    place: ChannelPresence,
    app: string,
    channel: string,
    user: string,
    change: number,
    info: string | undefined,
  ): void {
    const crossed = addTo(place.users, user, change);
    if (info !== undefined && change > 0) keepInfo(place, user, info);
    if (crossed === undefined) return;
    const kind = crossed === 'appeared' ? 'joined' : 'left';
    const kept = place.infos?.get(user);
    if (kept === undefined) {
      this.#tell(channel, { kind, app, channel, user });
    } else {
      if (kind === 'left') place.infos?.delete(user);
      this.#tell(channel, { kind, app, channel, user, info: kept });
    }
  }

  #tell(channel: string, transition: RosterTransition): void {
    const mine = this.#isMine(transition.app, channel);
    for (const listener of this.#listeners) listener.transition(transition, mine);
  }

  #isMine(app: string, channel: string): boolean {
    return !this.#silent && this.speaksFor(app, channel);
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
    const place = new ChannelPresence();
    presence.channels.set(channel, place);
    this.#tell(channel, { kind: 'occupied', app, channel });
    return place;
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

function keepInfo(place: ChannelPresence, user: string, info: string): void {
  place.infos ??= new Map();
  if (!place.infos.has(user)) place.infos.set(user, info);
}

function* keysOf(column: Column): Generator<[app: string, channel: string, user: string]> {
  for (const [app, channel, users] of column.channels()) {
    for (const user of users.keys()) yield [app, channel, user];
  }
}
