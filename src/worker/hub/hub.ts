import { channelCost, userCost } from '../../shared/model/name-cost.ts';
import { channelOf, topicOf } from '../../shared/model/names.ts';
import type { Member } from '../../shared/model/presence.ts';
import { CACHE_TTL_MS, type Publication } from '../../shared/model/publication.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Grants } from '../auth/grants.ts';
import type { Broker } from '../broker/broker.ts';
import { Channel, type SubscriberGroup } from '../connection/channel.ts';
import type { Connection } from '../connection/connection.ts';
import type { WireProtocol } from '../connection/wire-protocol.ts';
import type { PresenceReporter } from '../ipc/presence-reporter.ts';
import type { FanOut } from './fan-out.ts';
import { NameAllowance } from './name-allowance.ts';
import { UserIndex } from './user-index.ts';

/**
 * Who is here, and who hears what: the clients of this worker and their channels. It asks the broker for a
 * topic when the first client wants it and gives it up when the last one leaves.
 */
export class Hub {
  readonly #broker: Pick<Broker, 'subscribe' | 'unsubscribe'>;
  readonly #fanOut: FanOut;
  readonly #presence: Pick<PresenceReporter, 'report'>;
  readonly #names: NameAllowance;
  readonly #stats: Stats;
  readonly #connections = new Map<string, Connection>();
  readonly #channels = new Map<string, Channel<Connection>>();
  readonly #users = new UserIndex();

  constructor(options: {
    broker: Pick<Broker, 'subscribe' | 'unsubscribe'>;
    fanOut: FanOut;
    presence: Pick<PresenceReporter, 'report'>;
    names?: NameAllowance;
    stats: Stats;
  }) {
    this.#broker = options.broker;
    this.#fanOut = options.fanOut;
    this.#presence = options.presence;
    this.#names = options.names ?? new NameAllowance(Number.POSITIVE_INFINITY);
    this.#stats = options.stats;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** All clients. The iterator may be kept while clients come and go. */
  connections(): IterableIterator<Connection> {
    return this.#connections.values();
  }

  add(connection: Connection): void {
    this.#connections.set(connection.id, connection);
    this.#users.add(connection);
    this.#names.spend(userCost(connection.userId));
    this.#presence.report(connection.appKey, '', connection.userId, 1);
    this.#stats.connections += 1;
    this.#stats.connectionsOpened += 1;
  }

  /** Forgets a client and all its subscriptions. */
  remove(connection: Connection): void {
    if (!this.#connections.delete(connection.id)) return;
    this.#stats.connections -= 1;
    this.#users.remove(connection);
    for (const group of connection.subscriptions) this.#leave(connection, group);
    connection.subscriptions.length = 0;
    this.#presence.report(connection.appKey, '', connection.userId, -1);
  }

  /** A client gets a name after it came in; it goes by it wherever it is no member by another. */
  setUser(connection: Connection, userId: string): void {
    if (!this.#isRegistered(connection)) return;
    this.#reportPresence(connection, -1);
    this.#users.remove(connection);
    connection.userId = userId;
    this.#users.add(connection);
    this.#reportPresence(connection, 1);
  }

  /** The client of that id, if it is here and of that app. */
  connectionOf(appKey: string, id: string): Connection | undefined {
    const connection = this.#connections.get(id);
    return connection?.appKey === appKey ? connection : undefined;
  }

  /** The clients of a user that are here. */
  connectionsOf(appKey: string, userId: string): Iterable<Connection> {
    return this.#users.find(appKey, userId);
  }

  /** Gives a client other grants, and ends the subscriptions that they do not allow. */
  updateGrants(connection: Connection, grants: Grants): void {
    connection.grants = grants;
    const names = connection.subscriptions.map(({ channel }) => channelOf(channel.topic));
    for (const name of names) if (!grants.allows(name)) this.unsubscribe(connection, name);
  }

  /**
   * Whether the host has room for the names of these channels, and of the user in them. Attack: many clients that
   * subscribe to channels of their own, each within its limits.
   */
  hasRoomFor(channelNames: readonly string[], { appKey, userId }: Connection, member = userId): boolean {
    const fresh = channelNames.filter((name) => !this.#channels.has(topicOf(appKey, name)));
    if (this.#names.admits(fresh, member, channelNames.length)) return true;
    this.#stats.namesRefused += 1;
    return false;
  }

  /** Who has only reserved is not. */
  isSubscribed(connection: Connection, channelName: string): boolean {
    return this.#subscriptionOf(connection, channelName)?.isPending === false;
  }

  /**
   * Subscribes a client; subscribing twice is once. The promise, where there is one, resolves when whatever is
   * published from then on will reach the client; without one, that is so already. It rejects with `subscription_refused`
   * if the broker refuses the channel; then the client is not subscribed. A client that was removed is not
   * subscribed any more.
   */
  subscribe(connection: Connection, channelName: string): Promise<void> | undefined {
    return this.#enter(connection, channelName, 'never');
  }

  /**
   * As `subscribe`, but nothing is delivered to the client, and the presence registry does not count it, before `listen` or
   * `admit`: what it has to be told first, such as who is there, may have to be asked for. Where it is subscribed
   * already nothing changes.
   */
  subscribePending(connection: Connection, channelName: string): Promise<void> | undefined {
    return this.#enter(connection, channelName, 'always');
  }

  /** As `subscribe` where that is done at once; where there is a promise, as `reserve`. */
  subscribeOrPend(connection: Connection, channelName: string): Promise<void> | undefined {
    return this.#enter(connection, channelName, 'whileJoining');
  }

  /** A client that has reserved gets whatever is delivered from now on, and nothing that was before. */
  activate(connection: Connection, channelName: string): void {
    if (!this.#activate(connection, channelName)) return;
    this.#presence.report(connection.appKey, channelName, connection.userId, 1);
  }

  /** As `listen`, of one whom the presence registry has counted as this member already. */
  activateAs(connection: Connection, channelName: string, member: Member): void {
    if (!this.#activate(connection, channelName)) return;
    connection.members ??= new Map();
    connection.members.set(channelName, member);
    this.#names.spend(userCost(member.user));
  }

  /** Says whether it had none. */
  #activate(connection: Connection, channelName: string): boolean {
    const pending = this.#subscriptionOf(connection, channelName);
    if (pending?.isPending !== true) return false;
    const group = pending.channel.group(connection.protocol, false);
    group.connections.add(connection);
    this.#fanOut.enterFromNow(group, connection);
    connection.subscriptions.splice(connection.subscriptions.indexOf(pending), 1, group);
    pending.connections.delete(connection);
    if (pending.connections.size === 0) pending.channel.removeGroup(pending);
    return true;
  }

  /** What came last from a backend to a cache channel while somebody here was subscribed to it. */
  cachedEvent(appKey: string, channelName: string): Publication | undefined {
    const channel = this.#channels.get(topicOf(appKey, channelName));
    return channel !== undefined && performance.now() < channel.cachedUntil ? channel.cached : undefined;
  }

  /** Something may have been published that did not come here: what was last is for the broker to say. */
  clearCachedEvents(): void {
    for (const channel of this.#channels.values()) channel.cached = undefined;
  }

  /** Whether clients of a protocol are subscribed to the channel here. */
  hasSubscribers(appKey: string, channelName: string, protocol: WireProtocol): boolean {
    const groups = this.#channels.get(topicOf(appKey, channelName))?.groups ?? [];
    return groups.some((group) => group.protocol === protocol);
  }

  /** Tells the subscribers of one protocol something that is no publication. */
  announce(appKey: string, channelName: string, protocol: WireProtocol, text: string): void {
    const groups = this.#channels.get(topicOf(appKey, channelName))?.groups ?? [];
    const group = groups.find((one) => one.protocol === protocol && !one.isPending);
    if (group !== undefined) this.#fanOut.announce(group, text);
  }

  #enter(
    connection: Connection,
    channelName: string,
    pending: 'never' | 'always' | 'whileJoining',
  ): Promise<void> | undefined {
    // Whoever asks may have waited for something before: what comes behind `remove` would stay for ever.
    if (!this.#isRegistered(connection)) return undefined;
    const channel = this.#join(topicOf(connection.appKey, channelName));
    if (this.#subscriptionOf(connection, channelName) === undefined) {
      const isPending = pending === 'whileJoining' ? channel.joining !== undefined : pending === 'always';
      const group = channel.group(connection.protocol, isPending);
      group.connections.add(connection);
      this.#fanOut.enter(group, connection);
      // Most clients have one channel, and `push` would make room for 17.
      if (connection.subscriptions.length === 0) connection.subscriptions = [group];
      else connection.subscriptions.push(group);
      if (!isPending) this.#presence.report(connection.appKey, channelName, connection.userId, 1);
      this.#names.spend(userCost(connection.userId));
      this.#stats.subscriptions += 1;
    }
    return channel.joining;
  }

  /** Unsubscribes a client; not having been subscribed is no fault. */
  unsubscribe(connection: Connection, channelName: string): void {
    const group = this.#subscriptionOf(connection, channelName);
    if (group === undefined) return;
    connection.subscriptions.splice(connection.subscriptions.indexOf(group), 1);
    this.#leave(connection, group);
  }

  /**
   * The broker refuses the topic: its clients are unsubscribed. Those that wait for `subscribe` get its rejection;
   * the others had succeeded, while the link was lost or before a right was taken away, and are notified.
   */
  refuse(topic: string): void {
    const channel = this.#channels.get(topic);
    if (channel === undefined) return;
    const isAwaited = channel.joining !== undefined;
    const channelName = channelOf(topic);
    for (const { protocol, connections } of [...channel.groups]) {
      for (const connection of [...connections]) {
        this.unsubscribe(connection, channelName);
        if (!isAwaited) (protocol as WireProtocol<Connection>).subscriptionRefused?.(connection, channelName);
      }
    }
  }

  /** Brings a publication to this worker's subscribers; without any it is nothing. */
  deliver(topic: string, publication: Publication): void {
    const channel = this.#channels.get(topic);
    if (channel === undefined) return;
    this.#stats.publicationsReceived += 1;
    if (channel.isCache && publication.cached === true) {
      channel.cached = publication;
      channel.cachedUntil = performance.now() + CACHE_TTL_MS;
    }
    const { except } = publication;
    this.#fanOut.publish(
      channel,
      publication,
      except === undefined ? undefined : this.#connections.get(except),
    );
  }

  #isRegistered(connection: Connection): boolean {
    return this.#connections.get(connection.id) === connection;
  }

  #subscriptionOf(connection: Connection, channelName: string): SubscriberGroup<Connection> | undefined {
    const channel = this.#channels.get(topicOf(connection.appKey, channelName));
    return channel?.groups.find(
      (group) => group.protocol === connection.protocol && group.connections.has(connection),
    );
  }

  #join(topic: string): Channel<Connection> {
    const present = this.#channels.get(topic);
    if (present !== undefined) return present;
    const channel = new Channel<Connection>(topic);
    this.#channels.set(topic, channel);
    this.#names.spend(channelCost(channelOf(topic)));
    this.#stats.topics += 1;
    const joining = this.#broker.subscribe(topic).then(() => {
      channel.joining = undefined;
    });
    // Those that wait for it handle its rejection.
    joining.catch(() => undefined);
    channel.joining = joining;
    return channel;
  }

  #reportPresence(connection: Connection, change: 1 | -1): void {
    const { appKey, userId, subscriptions, members } = connection;
    this.#presence.report(appKey, '', userId, change);
    for (const { channel, isPending } of subscriptions) {
      const channelName = channelOf(channel.topic);
      if (isPending || members?.has(channelName) === true) continue;
      this.#presence.report(appKey, channelName, userId, change);
    }
  }

  #leave(connection: Connection, group: SubscriberGroup<Connection>): void {
    const { channel } = group;
    const channelName = channelOf(channel.topic);
    const user = connection.members?.get(channelName)?.user ?? connection.userId;
    if (!group.isPending) this.#presence.report(connection.appKey, channelName, user, -1);
    connection.members?.delete(channelName);
    group.connections.delete(connection);
    this.#fanOut.leave(group, connection);
    this.#stats.subscriptions -= 1;
    if (group.connections.size > 0) return;
    channel.removeGroup(group);
    if (!channel.groups.some(({ protocol }) => protocol === group.protocol)) {
      group.protocol.channelVacated?.(connection.appKey, channelName);
    }
    if (channel.groups.length > 0) return;
    this.#channels.delete(channel.topic);
    this.#stats.topics -= 1;
    this.#broker.unsubscribe(channel.topic);
  }
}
