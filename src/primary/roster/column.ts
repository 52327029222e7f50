/**
 * What one source of the roster says, a worker process or another host: how many connections and subscriptions
 * of whom it has. Dropped as one.
 */
export class Column {
  /** By app, by channel (empty: the app itself), by user (empty: those without a name). All counts are above 0. */
  readonly #apps = new Map<string, Map<string, Map<string, number>>>();
  /** Counts that are held. */
  size = 0;

  get(app: string, channel: string, user: string): number {
    return this.#apps.get(app)?.get(channel)?.get(user) ?? 0;
  }

  /** Adds to a count and says by how much it changed: a count does not go below 0. */
  add(app: string, channel: string, user: string, change: number): number {
    const before = this.get(app, channel, user);
    return this.#set(app, channel, user, before, Math.max(0, before + change));
  }

  /** Sets a count and says by how much it changed. */
  set(app: string, channel: string, user: string, count: number): number {
    return this.#set(app, channel, user, this.get(app, channel, user), count);
  }

  /** Every count, apps themselves before or after their channels as they came. */
  *entries(): Generator<[app: string, channel: string, user: string, count: number]> {
    for (const [app, channels] of this.#apps) {
      for (const [channel, users] of channels) {
        for (const [user, count] of users) yield [app, channel, user, count];
      }
    }
  }

  #set(app: string, channel: string, user: string, before: number, after: number): number {
    if (before === after) return 0;
    if (after === 0) this.#delete(app, channel, user);
    else this.#usersOf(app, channel).set(user, after);
    if (before === 0) this.size += 1;
    return after - before;
  }

  #usersOf(app: string, channel: string): Map<string, number> {
    const channels = this.#apps.get(app) ?? new Map<string, Map<string, number>>();
    if (channels.size === 0) this.#apps.set(app, channels);
    const users = channels.get(channel) ?? new Map<string, number>();
    if (users.size === 0) channels.set(channel, users);
    return users;
  }

  #delete(app: string, channel: string, user: string): void {
    const channels = this.#apps.get(app);
    const users = channels?.get(channel);
    if (users?.delete(user)) this.size -= 1;
    if (users?.size === 0) channels?.delete(channel);
    if (channels?.size === 0) this.#apps.delete(app);
  }
}
