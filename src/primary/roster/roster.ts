import type { RosterDelta, RosterTransition } from '../../shared/roster.ts';
import { Column } from './column.ts';
import { OrderedMap } from './ordered-map.ts';
import { AppPresence, ChannelPresence } from './presence.ts';

/** Who hears of changes, at once and in their order; it must not change the roster. */
export interface RosterListener {
  /**
   * `mine`: of all the hosts, this one tells the world outside of it. It caused the change, or was chosen to
   * speak for a host that died.
   */
  transition(transition: RosterTransition, mine: boolean): void;
  /** The counts of a channel have changed; they are read when they are needed. */
  counted(app: string, channel: string, mine: boolean): void;
}

/**
 * Who is present where: the sum of columns, one for each worker process of this host and one for each other
 * host. Every change is in effect when the call that makes it returns.
 *
 * Columns are named by what cannot come again, a process or a host's id, so that nothing a dead source said can
 * count. A transition is told once, on a count's way from 0 or to 0.
 */
export class Roster {
  readonly #columns = new Map<string, Column>();
  readonly #apps = new OrderedMap<AppPresence>();
  readonly #listeners: RosterListener[] = [];
  #mine = true;

  get apps(): OrderedMap<AppPresence> {
    return this.#apps;
  }

  channel(app: string, channel: string): ChannelPresence | undefined {
    return this.#apps.get(app)?.channels.get(channel);
  }

  listen(listener: RosterListener): void {
    this.#listeners.push(listener);
  }

  addColumn(name: string): void {
    this.#columns.set(name, new Column());
  }

  /** What is said in the name of a column that is not there is not heard. */
  change(name: string, deltas: readonly RosterDelta[], mine = true): void {
    const column = this.#columns.get(name);
    if (column === undefined) return;
    this.#mine = mine;
    for (const { app, channel, user, change, info } of deltas) {
      this.#add(app, channel, user, column.add(app, channel, user, change), info);
    }
  }

  /** Takes back all that the column said. */
  dropColumn(name: string, mine = true): void {
    const column = this.#columns.get(name);
    if (column === undefined) return;
    this.#columns.delete(name);
    this.#mine = mine;
    for (const [app, channel, user, count] of column.entries()) {
      this.#add(app, channel, user, -count, undefined);
    }
  }

  #add(app: string, channel: string, user: string, change: number, info: string | undefined): void {
    if (change === 0) return;
    const presence = this.#appOf(app);
    if (channel === '') this.#addConnections(presence, app, user, change);
    else this.#addSubscriptions(presence, app, channel, user, change, info);
    if (presence.isEmpty) this.#apps.delete(app);
  }

  #addConnections(presence: AppPresence, app: string, user: string, change: number): void {
    presence.connections += change;
    if (user === '') return;
    const crossed = addTo(presence.users, user, change);
    if (crossed === 'appeared') this.#tell({ kind: 'online', app, user });
    if (crossed === 'vanished') this.#tell({ kind: 'offline', app, user });
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
    for (const listener of this.#listeners) listener.counted(app, channel, this.#mine);
    if (place.subscriptions > 0) return;
    presence.channels.delete(channel);
    this.#tell({ kind: 'vacated', app, channel });
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
    const kept = place.infos?.get(user);
    const about = { app, channel, user, ...(kept !== undefined && { info: kept }) };
    if (crossed === 'appeared') {
      this.#tell({ kind: 'joined', ...about });
    } else {
      place.infos?.delete(user);
      this.#tell({ kind: 'left', ...about });
    }
  }

  #tell(transition: RosterTransition): void {
    for (const listener of this.#listeners) listener.transition(transition, this.#mine);
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
    this.#tell({ kind: 'occupied', app, channel });
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
