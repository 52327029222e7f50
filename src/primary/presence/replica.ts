import { channelCost, userCost } from '../../shared/model/presence.ts';

/** Counts by user (empty: unnamed). Each is above 0. */
export type UserCounts = ReadonlyMap<string, number>;

/** The connections and subscriptions by user that one source reports: a worker process, or another host. */
export class PresenceReplica {
  /** By app, then by channel (empty: the connections of the app). */
  readonly #apps = new Map<string, Map<string, Map<string, number>>>();
  /** The cost of its names, by `channelCost` and `userCost`. */
  nameBytes = 0;

  get(app: string, channel: string, user: string): number {
    return this.#apps.get(app)?.get(channel)?.get(user) ?? 0;
  }

  /** Adds to a count, which never goes below 0. Returns by how much it changed. */
  add(app: string, channel: string, user: string, change: number): number {
    const users = this.#usersOf(app, channel);
    const before = users.get(user) ?? 0;
    const after = Math.max(0, before + change);
    if (before === 0 && after > 0) this.nameBytes += userCost(user);
    if (after > 0) users.set(user, after);
    else this.#delete(users, app, channel, user);
    return after - before;
  }

  /** Removes and yields every count, or those of one app, or of one channel of it. */
  *extract(
    app?: string,
    channel?: string,
  ): Generator<[app: string, channel: string, user: string, count: number]> {
    for (const [appKey, channels] of app === undefined ? this.#apps : entryOf(this.#apps, app)) {
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
    for (const [app, channels] of this.#apps) {
      for (const [channel, users] of channels) yield [app, channel, users];
    }
  }

  #usersOf(app: string, channel: string): Map<string, number> {
    let channels = this.#apps.get(app);
    if (channels === undefined) {
      channels = new Map();
      this.#apps.set(app, channels);
    }
    let users = channels.get(channel);
    if (users === undefined) {
      users = new Map();
      channels.set(channel, users);
      this.nameBytes += channelCost(channel);
    }
    return users;
  }

  #delete(users: Map<string, number>, app: string, channel: string, user: string): void {
    if (users.delete(user)) this.nameBytes -= userCost(user);
    if (users.size > 0) return;
    this.nameBytes -= channelCost(channel);
    const channels = this.#apps.get(app);
    channels?.delete(channel);
    if (channels?.size === 0) this.#apps.delete(app);
  }
}

function entryOf<Value>(map: ReadonlyMap<string, Value>, key: string): [string, Value][] {
  const value = map.get(key);
  return value === undefined ? [] : [[key, value]];
}
