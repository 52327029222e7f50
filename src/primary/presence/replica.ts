import { channelCost, userCost } from '../../shared/model/presence.ts';

/** Counts by user (empty: unnamed). Each is above 0. */
export type UserCounts = ReadonlyMap<string, number>;

/** One app: users by channel (empty: the connections of the app). */
interface AppEntry {
  readonly channels: Map<string, Map<string, number>>;
  nameBytes: number;
}

/** The connections and subscriptions by user that one source reports: a worker process, or another host. */
export class PresenceReplica {
  readonly #apps = new Map<string, AppEntry>();
  /** The cost of its names, by `channelCost` and `userCost`. */
  nameBytes = 0;

  /** The part of `nameBytes` that belongs to one app. */
  nameBytesOf(app: string): number {
    return this.#apps.get(app)?.nameBytes ?? 0;
  }

  get(app: string, channel: string, user: string): number {
    return this.#apps.get(app)?.channels.get(channel)?.get(user) ?? 0;
  }

  /** Adds to a count, which never goes below 0. Returns by how much it changed. */
  add(app: string, channel: string, user: string, change: number): number {
    const entry = this.#entryOf(app);
    const users = this.#usersOf(entry, channel);
    const before = users.get(user) ?? 0;
    const after = Math.max(0, before + change);
    if (before === 0 && after > 0) this.#count(entry, userCost(user));
    if (after > 0) users.set(user, after);
    else this.#delete(users, app, channel, user);
    return after - before;
  }

  /** Removes and yields every count, or those of one app, or of one channel of it. */
  *extract(
    app?: string,
    channel?: string,
  ): Generator<[app: string, channel: string, user: string, count: number]> {
    for (const [appKey, { channels }] of app === undefined ? this.#apps : entryOf(this.#apps, app)) {
      for (const [name, users] of channel === undefined ? channels : entryOf(channels, channel)) {
        for (const [user, count] of users) {
          this.#delete(users, appKey, name, user);
          yield [appKey, name, user, count];
        }
      }
    }
  }

  /** Yields the counts of each channel. The replica may change while the caller iterates. */
  *channels(): Generator<[app: string, channel: string, users: UserCounts]> {
    for (const [app, { channels }] of this.#apps) {
      for (const [channel, users] of channels) yield [app, channel, users];
    }
  }

  #entryOf(app: string): AppEntry {
    const known = this.#apps.get(app);
    if (known !== undefined) return known;
    const entry: AppEntry = { channels: new Map(), nameBytes: 0 };
    this.#apps.set(app, entry);
    return entry;
  }

  #usersOf(entry: AppEntry, channel: string): Map<string, number> {
    const known = entry.channels.get(channel);
    if (known !== undefined) return known;
    const users = new Map<string, number>();
    entry.channels.set(channel, users);
    this.#count(entry, channelCost(channel));
    return users;
  }

  #delete(users: Map<string, number>, app: string, channel: string, user: string): void {
    const entry = this.#entryOf(app);
    if (users.delete(user)) this.#count(entry, -userCost(user));
    if (users.size > 0) return;
    this.#count(entry, -channelCost(channel));
    entry.channels.delete(channel);
    if (entry.channels.size === 0) this.#apps.delete(app);
  }

  #count(entry: AppEntry, bytes: number): void {
    entry.nameBytes += bytes;
    this.nameBytes += bytes;
  }
}

function entryOf<Value>(map: ReadonlyMap<string, Value>, key: string): [string, Value][] {
  const value = map.get(key);
  return value === undefined ? [] : [[key, value]];
}
