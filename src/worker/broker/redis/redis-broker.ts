import { GusherError } from '../../../shared/errors/catalogue.ts';
import type { BrokerStatus } from '../../../shared/ipc/messages.ts';
import type { Logger } from '../../../shared/logging/log.ts';
import type { Stats } from '../../../shared/metrics/stats.ts';
import {
  CONTROL_TOPIC,
  type ControlMessage,
  encodeControlMessage,
} from '../../../shared/model/control-message.ts';
import { envelopeText } from '../../../shared/model/envelope.ts';
import {
  type CachedPublication,
  type Publication,
  withCacheFlag,
} from '../../../shared/model/publication.ts';
import { explainRedisError, isReplyError } from '../../../shared/redis/errors.ts';
import type { Broker, BrokerHealth, BrokerListener } from '../broker.ts';
import { waitForPong } from './redis-connection.ts';
import { RedisLink } from './redis-link.ts';
import { RedisLog } from './redis-log.ts';
import { RedisPublisher } from './redis-publisher.ts';
import { RedisReceiver } from './redis-receiver.ts';

export interface RedisBrokerOptions {
  readonly url: string;
  readonly prefix: string;
  /** Random; the same for all workers of this host. */
  readonly hostId: string;
  /** Returns the number of workers of this host that are connected to the broker. */
  readonly connectedWorkers: () => number;
  /** Maximum size of a publication: see `publicationMaxBytes`. */
  readonly maxBytes: number;
  readonly stats: Stats;
  readonly log: Logger;
}

/**
 * Redis pub/sub: each topic is a Redis channel `{prefix}{topic}` that carries envelopes.
 *
 * A publication is acknowledged when this worker's own subscriber connection has delivered everything up to it. If Redis
 * does not answer, or that connection is lost, it rejects with `outcome_unknown`.
 */
export class RedisBroker implements Broker {
  readonly #link: RedisLink;
  readonly #publisher: RedisPublisher;
  readonly #receiver: RedisReceiver;
  readonly #log: RedisLog;
  readonly #hostId: string;
  readonly #stats: Pick<Stats, 'brokerGaps'>;
  #listener: BrokerListener | undefined;

  constructor(options: RedisBrokerOptions) {
    const { url, prefix, hostId, connectedWorkers, maxBytes, stats } = options;
    const log = new RedisLog(options.log);
    this.#log = log;
    this.#hostId = hostId;
    this.#stats = stats;
    this.#link = new RedisLink({
      ...{ url, prefix, hostId, connectedWorkers, stats, log },
      onStatus: (status) => this.#listener?.statusChanged(status),
      onRejected: (topic) => this.#listener?.subscriptionRejected(topic),
    });
    const { echo, health, subscriptions } = this.#link;
    const publisher = this.#link.publisher.client;
    const subscriber = this.#link.subscriber.client;
    const onReadOnly = this.#link.leaveReplica;
    const isStalled = (): boolean => this.#link.isStalled;
    this.#publisher = new RedisPublisher({
      ...{ publisher, subscriber, prefix, connectedWorkers, echo, health, log, isStalled, onReadOnly },
    });
    this.#receiver = new RedisReceiver({
      client: subscriber,
      prefix,
      hostId,
      maxBytes,
      echo,
      subscriptions,
      stats,
      log,
    });
  }

  get status(): BrokerStatus {
    return this.#link.status;
  }

  get server(): string | undefined {
    return this.#link.server;
  }

  get health(): BrokerHealth {
    const { status, lastError, knownWorkers, health } = this.#link;
    const gaps = this.#stats.brokerGaps;
    const { reason, roundTripMs, measuredAt } = health;
    const measured = measuredAt === undefined ? {} : { measuredAt };
    if (status !== 'connected') return { reason: explainRedisError(lastError), gaps, ...measured };
    return {
      ...(reason !== undefined && { reason }),
      ...(roundTripMs !== undefined && { roundTripMs }),
      ...(knownWorkers > 0 && { workers: knownWorkers }),
      gaps,
      ...measured,
    };
  }

  async open(listener: BrokerListener): Promise<void> {
    this.#listener = listener;
    this.#receiver.open(listener);
    await this.#link.open();
  }

  follow(server: string): void {
    this.#link.follow(server);
  }

  subscribe(topic: string): Promise<void> {
    const { subscriptions, acceptsSubscriptions } = this.#link;
    if (acceptsSubscriptions) return subscriptions.addAndWait(topic);
    subscriptions.add(topic);
    return Promise.resolve();
  }

  unsubscribe(topic: string): void {
    this.#link.subscriptions.delete(topic);
  }

  async publish(topic: string, publication: Publication): Promise<void> {
    this.#requireConnected();
    const whole = withCacheFlag(publication);
    await this.#publisher.publish(topic, envelopeText(whole, this.#hostId), whole.cached);
  }

  async broadcast(message: ControlMessage): Promise<void> {
    this.#requireConnected();
    await this.#publisher.publish(CONTROL_TOPIC, encodeControlMessage(message));
  }

  async cached(topic: string): Promise<CachedPublication | undefined> {
    this.#requireConnected();
    const { publisher, subscriber } = this.#link;
    const key = this.#publisher.cacheKey(topic);
    try {
      const [message, ttlMs] = await Promise.all([
        publisher.client.getBuffer(key),
        publisher.client.pttl(key),
      ]);
      // Redis answers this PING behind every publication made before its reply to GET.
      await waitForPong(subscriber.client);
      const publication = message === null ? undefined : this.#receiver.parseEnvelope(topic, message);
      return publication === undefined || ttlMs <= 0 ? undefined : { publication, ttlMs };
    } catch (error) {
      if (!isReplyError(error)) throw new GusherError('broker_unavailable');
      this.#log.commandRejected('get', key, error);
      throw new GusherError('broker_rejected');
    }
  }

  /** Redis delivers a publication before it acknowledges it, and answers each connection in order. */
  async settle(): Promise<void> {
    if (this.#link.status === 'connected') await this.#link.settle();
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  #requireConnected(): void {
    if (this.#link.status !== 'connected') throw new GusherError('broker_unavailable');
  }
}
