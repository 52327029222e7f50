import { GusherError } from '../../shared/errors/catalogue.ts';
import { hostNow } from '../../shared/metrics/host-clock.ts';
import type { Stats } from '../../shared/metrics/stats.ts';
import { channelOf, topicOf } from '../../shared/model/names.ts';
import type { Member } from '../../shared/model/presence.ts';
import { channelCost, userCost } from '../../shared/model/presence.ts';
import { CACHE_TTL_MS, type Publication } from '../../shared/model/publication.ts';
import { CLOSED_TAP, type Recorder } from '../../shared/tail/tap.ts';
import type { Grants } from '../auth/grants.ts';
import type { Broker } from '../broker/broker.ts';
import { Channel, type SubscriberGroup } from '../connection/channel.ts';
import type { Connection } from '../connection/connection.ts';
import { factsOf } from '../connection/send-queue.ts';
import type { WireProtocol } from '../connection/wire-protocol.ts';
import type { PresenceReporter } from '../ipc/presence-reporter.ts';
import type { AppAllowances, Demand } from '../limits/app-allowances.ts';
import { NameAllowance } from '../limits/name-allowance.ts';
import type { DeliveryTracker, TrackedDelivery } from '../metrics/delivery-tracker.ts';
import type { Tracer, WriteSpan } from '../tracing/tracer.ts';
import type { AppCounter } from './app-counter.ts';
import type { FanOut } from './fan-out.ts';
import { UserIndex } from './user-index.ts';

type HubAllowances = Omit<AppAllowances, 'receive' | 'close'>;

/**
 * Keeps the connections of this worker and their subscriptions. Subscribes to a topic at the broker for its first
 * local subscriber, and unsubscribes after its last one.
 */
export class Hub {
  readonly #broker: Pick<Broker, 'subscribe' | 'unsubscribe'>;
  readonly #fanOut: FanOut;
  readonly #presence: Pick<PresenceReporter, 'report'>;
  readonly #names: NameAllowance;
  readonly #appAllowances: HubAllowances | undefined;
  readonly #stats: Stats;
  readonly #appCounter: AppCounter | undefined;
  readonly #tap: Recorder;
  readonly #deliveryTracker: Pick<DeliveryTracker, 'begin'> | undefined;
  readonly #tracer: Pick<Tracer, 'startWrite'> | undefined;
  readonly #connections = new Map<string, Connection>();
  readonly #channels = new Map<string, Channel<Connection>>();
  readonly #users = new UserIndex();

  constructor(options: {
    broker: Pick<Broker, 'subscribe' | 'unsubscribe'>;
    fanOut: FanOut;
    presence: Pick<PresenceReporter, 'report'>;
    names?: NameAllowance;
    appAllowances?: HubAllowances;
    stats: Stats;
    appCounter?: AppCounter | undefined;
    tap?: Recorder;
    deliveryTracker?: Pick<DeliveryTracker, 'begin'>;
    tracer?: Pick<Tracer, 'startWrite'> | undefined;
  }) {
    this.#broker = options.broker;
    this.#fanOut = options.fanOut;
    this.#presence = options.presence;
    this.#names = options.names ?? new NameAllowance(Number.POSITIVE_INFINITY);
    this.#appAllowances = options.appAllowances;
    this.#stats = options.stats;
    this.#appCounter = options.appCounter;
    this.#tap = options.tap ?? CLOSED_TAP;
    this.#deliveryTracker = options.deliveryTracker;
    this.#tracer = options.tracer;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** All connections. The iterator stays valid while connections are added and removed. */
  connections(): IterableIterator<Connection> {
    return this.#connections.values();
  }

  add(connection: Connection): void {
    this.#connections.set(connection.id, connection);
    this.#users.add(connection);
    this.#names.spend(userCost(connection.userId));
    this.#presence.report(connection.appKey, '', connection.userId, 1);
    this.#stats.connections[connection.protocol.name] += 1;
    this.#stats.connectionsOpened[connection.protocol.name] += 1;
    this.#appCounter?.connectionAdded(connection.appKey);
    if (this.#tap.isOpen) this.#tap.record({ type: 'connected', ...shownOf(connection) });
  }

  /** Removes a connection and all its subscriptions. */
  remove(connection: Connection): void {
    if (!this.#connections.delete(connection.id)) return;
    this.#stats.connections[connection.protocol.name] -= 1;
    this.#appCounter?.connectionRemoved(connection.appKey);
    this.#users.remove(connection);
    for (const group of connection.subscriptions) this.#leave(connection, group);
    connection.subscriptions.length = 0;
    this.#presence.report(connection.appKey, '', connection.userId, -1);
    if (this.#tap.isOpen) {
      this.#tap.record({ type: 'disconnected', ...shownOf(connection), code: connection.closeError?.code });
    }
  }

  /** Sets the user id after sign-in. Presence channels keep the member id with which the connection joined them. */
  setUser(connection: Connection, userId: string): void {
    if (!this.#isRegistered(connection)) return;
    this.#reportPresence(connection, -1);
    this.#users.remove(connection);
    connection.userId = userId;
    this.#users.add(connection);
    this.#reportPresence(connection, 1);
  }

  /** The connection with this id, if it belongs to this worker and this app. */
  connectionOf(appKey: string, id: string): Connection | undefined {
    const connection = this.#connections.get(id);
    return connection?.appKey === appKey ? connection : undefined;
  }

  /** The connections of a user to this worker. */
  connectionsOf(appKey: string, userId: string): Iterable<Connection> {
    return this.#users.find(appKey, userId);
  }

  /** Replaces the grants of a connection, and ends subscriptions that they do not allow. */
  updateGrants(connection: Connection, grants: Grants): void {
    connection.grants = grants;
    const names = connection.subscriptions.map(({ channel }) => channelOf(channel.topic));
    for (const name of names) if (!grants.allows(name)) this.unsubscribe(connection, name);
  }

  /**
   * Runs `work`, which subscribes a connection to these channels, as soon as the app may have them; at once if it is known
   * to. `member` joins them instead of the user of the connection. Throws or rejects with `channels_full`,
   * `subscriptions_full`, `names_full` or `host_full`. Attack: many clients, each within its limits, that subscribe to
   * different channels.
   */
  runWithin<Result>(
    connection: Connection,
    channelNames: readonly string[],
    work: () => Result,
    member?: Member,
  ): Result | Promise<Awaited<Result>> {
    const user = member?.user ?? connection.userId;
    const demand = (): Demand => this.#demandOf(connection, channelNames, user);
    const runWithinHost = (): Result => {
      this.#requireHostNames(demand().amounts.nameBytes);
      return work();
    };
    if (this.#appAllowances === undefined) return runWithinHost();
    return this.#appAllowances.run(connection.appKey, demand, runWithinHost);
  }

  /** Reserves memory for names in queries. Throws or rejects with `names_full` or `host_full`. */
  reserveNames(appKey: string, nameBytes: number): Promise<void> | undefined {
    const reserve = (): undefined => {
      this.#requireHostNames(nameBytes);
      this.#names.spend(nameBytes);
      this.#appAllowances?.addNames(appKey, nameBytes);
    };
    const demand = { amounts: { channels: 0, subscriptions: 0, nameBytes }, channels: [] };
    if (this.#appAllowances === undefined) return reserve();
    return this.#appAllowances.run(appKey, () => demand, reserve);
  }

  #requireHostNames(nameBytes: number): void {
    if (!this.#names.admits(nameBytes)) throw new GusherError('host_full');
  }

  #demandOf(connection: Connection, channelNames: readonly string[], user: string): Demand {
    const { appKey } = connection;
    const channels = channelNames.filter((name) => !this.#channels.has(topicOf(appKey, name)));
    const subscriptions = channelNames.filter(
      (name) => this.#subscriptionOf(connection, name) === undefined,
    ).length;
    const channelBytes = channels.reduce((sum, name) => sum + channelCost(name), 0);
    const nameBytes = channelBytes + subscriptions * userCost(user);
    return { amounts: { channels: channels.length, subscriptions, nameBytes }, channels };
  }

  /** A pending subscription does not count. */
  isSubscribed(connection: Connection, channelName: string): boolean {
    return this.#subscriptionOf(connection, channelName)?.isPending === false;
  }

  /**
   * Subscribes a connection. A repeated call, and one for a connection that was removed, changes nothing.
   *
   * Returns `undefined` if the topic is live: the connection receives everything that is published from now on.
   * Otherwise the promise resolves when that is true. It rejects with `subscription_rejected` if the broker rejects
   * the topic; then the connection is not subscribed.
   */
  subscribe(connection: Connection, channelName: string): Promise<void> | undefined {
    const channel = this.#channelFor(connection, channelName);
    if (channel !== undefined) this.#addSubscription(connection, channel, channelName, false);
    return channel?.joining;
  }

  /**
   * Subscribes like `subscribe`, but delivers nothing and reports no presence until `activate` or `activateAs`. A
   * client may have to receive its reply, such as the member list, before any publication. An existing subscription
   * does not change.
   */
  subscribePending(connection: Connection, channelName: string): Promise<void> | undefined {
    const channel = this.#channelFor(connection, channelName);
    if (channel !== undefined) this.#addSubscription(connection, channel, channelName, true);
    return channel?.joining;
  }

  /** Subscribes like `subscribe` if the topic is live, and like `subscribePending` if not. */
  subscribePendingUntilLive(connection: Connection, channelName: string): Promise<void> | undefined {
    const channel = this.#channelFor(connection, channelName);
    if (channel === undefined) return undefined;
    this.#addSubscription(connection, channel, channelName, channel.joining !== undefined);
    return channel.joining;
  }

  /** Ends the pending state: the connection receives everything from now on, and nothing published before. */
  activate(connection: Connection, channelName: string): void {
    if (!this.#activate(connection, channelName)) return;
    this.#presence.report(connection.appKey, channelName, connection.userId, 1);
  }

  /** Activates like `activate`, for a member that the presence registry has counted already. */
  activateAs(connection: Connection, channelName: string, member: Member): void {
    if (!this.#activate(connection, channelName)) return;
    connection.members ??= new Map();
    connection.members.set(channelName, member);
    this.#names.spend(userCost(member.user));
  }

  /** Returns whether the subscription was pending. */
  #activate(connection: Connection, channelName: string): boolean {
    const pending = this.#subscriptionOf(connection, channelName);
    if (pending?.isPending !== true) return false;
    const group = pending.channel.group(connection.protocol, false);
    group.connections.add(connection);
    this.#fanOut.enterFromNow(group, connection);
    connection.subscriptions.splice(connection.subscriptions.indexOf(pending), 1, group);
    pending.connections.delete(connection);
    if (pending.connections.size === 0) pending.channel.removeGroup(pending);
    this.#markReported(pending.channel);
    return true;
  }

  /** The last cached event of a cache channel, if this worker received it while a connection was subscribed. */
  cachedEvent(appKey: string, channelName: string): Publication | undefined {
    const channel = this.#channels.get(topicOf(appKey, channelName));
    return channel !== undefined && performance.now() < channel.cachedUntil ? channel.cached : undefined;
  }

  /** Drops cached events when this worker may have missed newer ones. The broker still has the last event. */
  clearCachedEvents(): void {
    for (const channel of this.#channels.values()) channel.cached = undefined;
  }

  /** Sends a text that is not a publication to the subscribers of one protocol. */
  announce(appKey: string, channelName: string, protocol: WireProtocol, text: string): void {
    const groups = this.#channels.get(topicOf(appKey, channelName))?.groups ?? [];
    const group = groups.find((one) => one.protocol === protocol && !one.isPending);
    if (group !== undefined) this.#fanOut.announce(group, text);
  }

  /** The channel, for a registered connection. Hazard: a subscription added after `remove` would stay for ever. */
  #channelFor(connection: Connection, channelName: string): Channel<Connection> | undefined {
    if (!this.#isRegistered(connection)) return undefined;
    return this.#join(connection.appKey, topicOf(connection.appKey, channelName));
  }

  #addSubscription(
    connection: Connection,
    channel: Channel<Connection>,
    channelName: string,
    isPending: boolean,
  ): void {
    if (this.#subscriptionOf(connection, channelName) !== undefined) return;
    const group = channel.group(connection.protocol, isPending);
    group.connections.add(connection);
    this.#fanOut.enter(group, connection);
    // Most clients have one channel, and V8 grows an empty array to 17 slots at the first `push`.
    if (connection.subscriptions.length === 0) connection.subscriptions = [group];
    else connection.subscriptions.push(group);
    const nameBytes = userCost(connection.userId);
    this.#names.spend(nameBytes);
    if (channel.usage !== undefined) this.#appAllowances?.addSubscription(channel.usage, nameBytes);
    if (!isPending) {
      this.#presence.report(connection.appKey, channelName, connection.userId, 1);
      this.#markReported(channel);
    }
    this.#stats.subscriptions += 1;
  }

  /** Ends a subscription, if the connection has it. */
  unsubscribe(connection: Connection, channelName: string): void {
    const group = this.#subscriptionOf(connection, channelName);
    if (group === undefined) return;
    connection.subscriptions.splice(connection.subscriptions.indexOf(group), 1);
    this.#leave(connection, group);
  }

  /**
   * Ends all subscriptions to a topic that the broker rejects. A caller that waits for `subscribe` gets its rejection.
   * Connections that had subscribed before (the broker was disconnected, or its ACL changed) are notified.
   */
  rejectSubscriptions(topic: string): void {
    const channel = this.#channels.get(topic);
    if (channel === undefined) return;
    const isAwaited = channel.joining !== undefined;
    const channelName = channelOf(topic);
    for (const { protocol, connections } of [...channel.groups]) {
      for (const connection of [...connections]) {
        this.unsubscribe(connection, channelName);
        if (!isAwaited)
          (protocol as WireProtocol<Connection>).subscriptionRejected?.(connection, channelName);
      }
    }
  }

  /** Whether a connection of this worker is subscribed to the topic. */
  hasTopic(topic: string): boolean {
    return this.#channels.has(topic);
  }

  /** Delivers a publication to the subscribers of this worker. */
  deliver(topic: string, publication: Publication): void {
    const channel = this.#channels.get(topic);
    if (channel === undefined) return;
    const { acceptedAt } = publication;
    const origin = acceptedAt === undefined ? 'elsewhere' : 'host';
    this.#stats.publicationsReceived[origin] += 1;
    this.#appCounter?.delivered(channel);
    if (this.#tap.isOpen) this.#recordDelivery(channel, publication);
    if (channel.isCache && publication.cached === true) {
      channel.cached = publication;
      channel.cachedUntil = performance.now() + CACHE_TTL_MS;
    }
    const { except } = publication;
    this.#fanOut.publish(
      channel,
      publication,
      {
        origin,
        at: acceptedAt ?? hostNow(),
        tracked: this.#track(channel, publication.report),
        span: publication.trace && this.#startSpan(channel, publication),
      },
      except === undefined ? undefined : this.#connections.get(except),
    );
  }

  #recordDelivery(
    { topic, groups }: Channel<Connection>,
    { channel, event, data, except }: Publication,
  ): void {
    const appKey = appKeyOf(topic, channel);
    const subscribers = this.#countSubscribers(groups, channel, except);
    const isFor = (user: string): boolean =>
      [...this.#users.find(appKey, user)].some((connection) => this.isSubscribed(connection, channel));
    this.#tap.record({ type: 'delivered', app: appKey, channel, event, subscribers, data }, isFor);
  }

  #countSubscribers(
    groups: readonly SubscriberGroup<Connection>[],
    channelName: string,
    except: string | undefined,
  ): number {
    let subscribers = 0;
    for (const { connections, isPending } of groups) if (!isPending) subscribers += connections.size;
    const sender = except === undefined ? undefined : this.#connections.get(except);
    const isSenderSubscribed = sender !== undefined && this.isSubscribed(sender, channelName);
    return isSenderSubscribed ? subscribers - 1 : subscribers;
  }

  /** One span per publication: the groups of this worker end it. */
  #startSpan({ topic, groups }: Channel<Connection>, publication: Publication): WriteSpan | undefined {
    return this.#tracer?.startWrite({
      app: appKeyOf(topic, publication.channel),
      publication,
      subscribers: this.#countSubscribers(groups, publication.channel, publication.except),
      groups: groups.filter(({ isPending }) => !isPending).length,
    });
  }

  /** Returns `undefined` if the publisher wants no report. */
  #track(channel: Channel<Connection>, report: string | undefined): TrackedDelivery | undefined {
    if (report === undefined) return undefined;
    const groups = channel.groups.filter(({ isPending }) => !isPending).length;
    return this.#deliveryTracker?.begin(report, groups);
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

  #join(appKey: string, topic: string): Channel<Connection> {
    const present = this.#channels.get(topic);
    if (present !== undefined) return present;
    const usage = this.#appAllowances?.usageOf(appKey);
    const channel = new Channel<Connection>(topic, usage);
    const channelName = channelOf(topic);
    const nameBytes = channelCost(channelName);
    this.#channels.set(topic, channel);
    this.#names.spend(nameBytes);
    if (usage !== undefined) this.#appAllowances?.addChannel(usage, channelName, nameBytes);
    this.#stats.topics += 1;
    const joining = this.#broker.subscribe(topic).then(() => {
      channel.joining = undefined;
    });
    // Callers handle the rejection; without a caller it must not count as unhandled.
    joining.catch(() => undefined);
    channel.joining = joining;
    return channel;
  }

  /** The presence reports contain one more subscription, and the channel. */
  #markReported(channel: Channel<Connection>): void {
    if (channel.usage === undefined) return;
    this.#appAllowances?.subscriptionReported(channel.usage);
    if (channel.isReported) return;
    channel.isReported = true;
    this.#appAllowances?.channelReported(channel.usage);
  }

  /** One subscription ended, and possibly the channel, or the last subscription that was reported. */
  #uncount(channel: Channel<Connection>, wasPending: boolean): void {
    const { usage } = channel;
    const allowances = this.#appAllowances;
    if (usage === undefined || allowances === undefined) return;
    if (wasPending) allowances.subscriptionReported(usage);
    allowances.removeSubscription(usage);
    if (channel.groups.length === 0) {
      if (!channel.isReported) allowances.channelReported(usage);
      allowances.removeChannel(usage);
    } else if (channel.isReported && channel.groups.every(({ isPending }) => isPending)) {
      channel.isReported = false;
      allowances.channelPending(usage);
    }
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
    if (group.connections.size === 0) channel.removeGroup(group);
    this.#uncount(channel, group.isPending);
    if (group.connections.size > 0) return;
    if (!channel.groups.some(({ protocol }) => protocol === group.protocol)) {
      group.protocol.channelVacated?.(connection.appKey, channelName);
    }
    if (channel.groups.length > 0) return;
    this.#channels.delete(channel.topic);
    this.#stats.topics -= 1;
    this.#broker.unsubscribe(channel.topic);
  }
}

function shownOf(connection: Connection) {
  const { id, userId, protocol } = connection;
  const user = userId === '' ? undefined : userId;
  return { ...factsOf(connection), user, connection: id, protocol: protocol.name };
}

function appKeyOf(topic: string, channelName: string): string {
  return topic.slice(0, topic.length - channelName.length - 1);
}
