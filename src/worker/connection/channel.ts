import { channelOf } from '../../shared/model/names.ts';
import type { Publication } from '../../shared/model/publication.ts';
import { isCacheChannel } from '../../shared/model/pusher-channel.ts';
import type { AppUsage } from '../limits/app-allowances.ts';
import type { WireProtocol } from './wire-protocol.ts';

/**
 * The subscribers of this worker to one channel of one app. The worker itself subscribes to the topic only once.
 * `Subscriber` is the connection. It refers to its groups, so this file cannot import it.
 */
export class Channel<Subscriber> {
  readonly topic: string;
  /** Resolves when the broker delivers the topic, and is `undefined` from then on. */
  joining: Promise<void> | undefined = undefined;
  /** For each protocol with subscribers: one group, and another for its pending subscribers. */
  readonly groups: SubscriberGroup<Subscriber>[] = [];
  /** Whether the broker caches the last event of this channel for later subscribers. */
  readonly isCache: boolean;
  /** Owned by the hub: the last cached event, valid until `cachedUntil` (`performance.now()`). */
  cached: Publication | undefined = undefined;
  cachedUntil = 0;
  /** What the app of the channel uses on this worker. */
  readonly usage: AppUsage | undefined;
  /** Owned by the hub: the presence reports contain a subscription to it. */
  isReported = false;

  constructor(topic: string, usage?: AppUsage) {
    this.topic = topic;
    this.usage = usage;
    this.isCache = isCacheChannel(channelOf(topic));
  }

  /** Finds or creates the group of a protocol. */
  group(protocol: WireProtocol, isPending: boolean): SubscriberGroup<Subscriber> {
    const existing = this.groups.find((one) => one.protocol === protocol && one.isPending === isPending);
    if (existing !== undefined) return existing;
    const group = new SubscriberGroup<Subscriber>(this, protocol, isPending);
    this.groups.push(group);
    return group;
  }

  removeGroup(group: SubscriberGroup<Subscriber>): void {
    this.groups.splice(this.groups.indexOf(group), 1);
  }
}

/**
 * The subscribers of a channel that speak one protocol; they share the bytes of each delivery. Pending subscribers
 * receive no deliveries and are not counted yet.
 */
export class SubscriberGroup<Subscriber> {
  readonly channel: Channel<Subscriber>;
  readonly protocol: WireProtocol;
  readonly isPending: boolean;
  readonly connections = new Set<Subscriber>();

  constructor(channel: Channel<Subscriber>, protocol: WireProtocol, isPending: boolean) {
    this.channel = channel;
    this.protocol = protocol;
    this.isPending = isPending;
  }
}
