import { channelCost, userCost } from '../../shared/model/name-cost.ts';

/** How many of each user (empty: those without a name). All counts are above 0. */
export type UserCounts = ReadonlyMap<string, number>;

/**
 * What one source of the presence registry says, a worker process or another host: how many connections and subscriptions
 * of whom it has. Dropped as one.
 */
export class PresenceReplica {
  /** By app, and by channel (empty: the app itself). */
  readonly #apps = new Map<string, Map<string, Map<string, number>>>();
  /** What its names cost, by `name-cost.ts`. */
  nameBytes = 0;

  get(app: string, channel: string, user: string): number {
    return this.#apps.get(app)?.get(channel)?.get(user) ?? 0;
  }

  /** Adds to a count and says by how much it changed: a count does not go below 0. */
  add(app: string, channel: string, user: string, change: number): number {
    const users = this.#usersOf(app, channel);
    const before = users.get(user) ?? 0;
    const after = Math.max(0, before + change);
    if (before === 0 && after > 0) this.nameBytes += userCost(user);
    if (after > 0) users.set(user, after);
    else this.#delete(users, app, channel, user);
    return after - before;
  }

  /** Takes out all that it says, of one app or of one channel of it if they are named, a count at a time. */
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

  /** All that it says, a channel at a time; it may be changed meanwhile. */
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
