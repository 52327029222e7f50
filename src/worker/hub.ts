import type { Publication } from '../shared/publication.ts';
import type { Stats } from '../shared/stats.ts';
import { topicOf } from '../shared/topic.ts';
import type { Broker } from './broker/broker.ts';
import { Audience, Channel, type Connection } from './connection.ts';
import type { FanOut } from './fan-out.ts';
import { Users } from './users.ts';

/**
 * Who is here, and who hears what: the clients of this worker and their channels. It asks the broker for a
 * topic when the first client wants it and gives it up when the last one leaves.
 */
export class Hub {
  readonly #broker: Pick<Broker, 'subscribe' | 'unsubscribe'>;
  readonly #fanOut: FanOut;
  readonly #stats: Stats;
  readonly #connections = new Map<string, Connection>();
  readonly #channels = new Map<string, Channel>();
  readonly #users = new Users();

  constructor(options: {
    broker: Pick<Broker, 'subscribe' | 'unsubscribe'>;
    fanOut: FanOut;
    stats: Stats;
  }) {
    this.#broker = options.broker;
    this.#fanOut = options.fanOut;
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
    this.#stats.connections += 1;
    this.#stats.connectionsOpened += 1;
  }

  /** Forgets a client and all its subscriptions. */
  remove(connection: Connection): void {
    if (!this.#connections.delete(connection.id)) return;
    this.#stats.connections -= 1;
    this.#users.remove(connection);
    for (const audience of connection.audiences) this.#leave(connection, audience);
    connection.audiences.length = 0;
  }

  /** A client gets a name after it came in. */
  identify(connection: Connection, userId: string): void {
    this.#users.remove(connection);
    connection.userId = userId;
    this.#users.add(connection);
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

  isSubscribed(connection: Connection, channelName: string): boolean {
    return this.#audienceOf(connection, channelName) !== undefined;
  }

  /**
   * Subscribes a client; subscribing twice is once. The promise, where there is one, resolves when whatever is
   * published from then on will reach the client; without one, that is so already.
   */
  subscribe(connection: Connection, channelName: string): Promise<void> | undefined {
    const channel = this.#join(topicOf(connection.appKey, channelName));
    const audience = audienceFor(channel, connection);
    if (!audience.connections.has(connection)) {
      audience.connections.add(connection);
      connection.audiences.push(audience);
      this.#stats.subscriptions += 1;
    }
    return channel.joining;
  }

  /** Unsubscribes a client; not having been subscribed is no fault. */
  unsubscribe(connection: Connection, channelName: string): void {
    const audience = this.#audienceOf(connection, channelName);
    if (audience === undefined) return;
    connection.audiences.splice(connection.audiences.indexOf(audience), 1);
    this.#leave(connection, audience);
  }

  /** Brings a publication to this worker's subscribers; without any it is nothing. */
  deliver(topic: string, publication: Publication): void {
    const channel = this.#channels.get(topic);
    if (channel === undefined) return;
    this.#stats.publicationsReceived += 1;
    this.#fanOut.publish(channel, publication);
  }

  #audienceOf(connection: Connection, channelName: string): Audience | undefined {
    const channel = this.#channels.get(topicOf(connection.appKey, channelName));
    return channel?.audiences.find(
      (audience) => audience.dialect === connection.dialect && audience.connections.has(connection),
    );
  }

  #join(topic: string): Channel {
    const present = this.#channels.get(topic);
    if (present !== undefined) return present;
    const channel = new Channel(topic);
    this.#channels.set(topic, channel);
    this.#stats.topics += 1;
    channel.joining = this.#broker.subscribe(topic).then(() => {
      channel.joining = undefined;
    });
    return channel;
  }

  #leave(connection: Connection, audience: Audience): void {
    audience.connections.delete(connection);
    this.#stats.subscriptions -= 1;
    if (audience.connections.size > 0) return;
    const { channel } = audience;
    channel.audiences.splice(channel.audiences.indexOf(audience), 1);
    if (channel.audiences.length > 0) return;
    this.#channels.delete(channel.topic);
    this.#stats.topics -= 1;
    this.#broker.unsubscribe(channel.topic);
  }
}

function audienceFor(channel: Channel, connection: Connection): Audience {
  const present = channel.audiences.find((audience) => audience.dialect === connection.dialect);
  if (present !== undefined) return present;
  const audience = new Audience(channel, connection.dialect);
  channel.audiences.push(audience);
  return audience;
}
