import { channelOf } from '../../shared/model/names.ts';
import type { Publication } from '../../shared/model/publication.ts';
import { isCacheChannel } from '../../shared/model/pusher-channel.ts';
import type { WireProtocol } from './wire-protocol.ts';

/**
 * The subscribers of this worker to one channel of one app, and the worker's one subscription to the topic.
 * `Subscriber` is the connection, which refers to its groups and so is not imported here.
 */
export class Channel<Subscriber> {
  readonly topic: string;
  /** Resolves when the broker delivers the topic; `undefined` once it does. */
  joining: Promise<void> | undefined = undefined;
  /** One per wire protocol with a subscriber, and one more for its pending subscribers. */
  readonly groups: SubscriberGroup<Subscriber>[] = [];
  /** Whether the broker caches the last event of this channel for later subscribers. */
  readonly isCache: boolean;
  /** Owned by the hub: the last cached event that arrived here, valid until `lastUntil` (`performance.now()`). */
  cached: Publication | undefined = undefined;
  cachedUntil = 0;

  constructor(topic: string) {
    this.topic = topic;
    this.isCache = isCacheChannel(channelOf(topic));
  }

  /** The group of a protocol; created if there is none. */
  group(protocol: WireProtocol, isPending: boolean): SubscriberGroup<Subscriber> {
    const present = this.groups.find((one) => one.protocol === protocol && one.isPending === isPending);
    if (present !== undefined) return present;
    const group = new SubscriberGroup<Subscriber>(this, protocol, isPending);
    this.groups.push(group);
    return group;
  }

  removeGroup(group: SubscriberGroup<Subscriber>): void {
    this.groups.splice(this.groups.indexOf(group), 1);
  }
}

/**
 * The subscribers of a channel that speak one protocol, and so share the same bytes. Pending subscribers get no
 * deliveries and are not counted yet.
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
