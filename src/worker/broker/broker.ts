import type { BrokerStatus } from '../../shared/ipc/messages.ts';
import type { ControlMessage } from '../../shared/model/control-message.ts';
import type { CachedPublication, Publication } from '../../shared/model/publication.ts';

/** Receives what a broker delivers. */
export interface BrokerListener {
  /**
   * Receives a publication of a subscribed topic. The broker also delivers this worker's own publications here, to keep
   * one order for all subscribers.
   */
  deliver(topic: string, publication: Publication): void;
  /** Receives a control message of any worker, including this one. */
  control(message: ControlMessage): void;
  statusChanged(status: BrokerStatus): void;
  /**
   * The broker rejected the subscription to this topic, and this worker is no longer subscribed to it. The promise of a
   * pending `subscribe` rejects after this call.
   */
  subscriptionRejected(topic: string): void;
}

/** The result of the latest measurement: a publication that this worker sends to itself. */
export interface BrokerHealth {
  /** Why publishing fails, for the operator; `undefined` if it works. */
  readonly reason?: string;
  /** Time from publication to delivery, in ms. */
  readonly roundTripMs?: number;
  /** When that publication was delivered or failed, in ms of `performance.now()`. */
  readonly measuredAt?: number;
  /** Number of workers of all hosts that are connected to the same Redis. */
  readonly workers?: number;
  /** How often this worker may have missed publications, because its connection to Redis was lost. */
  readonly gaps?: number;
}

/**
 * Carries publications between the workers of one host or of several hosts.
 *
 * Promises, per topic: a publication made after another one was acknowledged is delivered after it. Delivery is at most
 * once; only a publication with an id may be published again. A subscriber misses publications while its connection to
 * the broker is lost.
 */
export interface Broker {
  readonly status: BrokerStatus;
  readonly health: BrokerHealth;
  /** Id of the server process that carries publications; `undefined` if it is the primary, or unknown. */
  readonly server: string | undefined;

  /** Follows the other workers of this host to this server: a connection to another server is closed and made again. */
  follow(server: string): void;

  /** Connects. Resolves after the first attempt, even if the broker is unavailable. */
  open(listener: BrokerListener): Promise<void>;

  /**
   * Subscribes this worker to a topic. Resolves when publications made afterwards will arrive. While disconnected, it
   * resolves immediately, and the subscription takes effect on reconnect. Rejects with `subscription_rejected` if the
   * broker rejects this topic, and with `broker_unavailable` if it does not answer in time. The caller subscribes to a
   * topic once, and unsubscribes once, also after a rejection.
   */
  subscribe(topic: string): Promise<void>;

  /** Unsubscribes this worker from a topic. Publications in flight may still arrive. */
  unsubscribe(topic: string): void;

  /**
   * Publishes to a topic. Resolves when the broker has accepted the publication and, if this worker is subscribed, has
   * delivered it here. The broker caches a backend's publication to a cache channel, in the order of delivery.
   *
   * Rejects with a `GusherError`: `broker_unavailable` while disconnected; `broker_busy` if too many bytes are in flight;
   * `broker_rejected` if the broker rejects the publication; `outcome_unknown` if the broker did not answer or the
   * connection was lost, in which case it may have been published.
   */
  publish(topic: string, publication: Publication): Promise<void>;

  /**
   * Returns the cached publication of a cache channel, the same on all hosts. A subscribed worker has received all
   * publications made before the answer when this resolves. Rejects with `broker_unavailable` while disconnected.
   */
  cached(topic: string): Promise<CachedPublication | undefined>;

  /**
   * Sends a control message to every worker of every host, including this one: at most once, in the order of this
   * sender's broadcasts and publications. Resolves and rejects as `publish` does.
   */
  broadcast(message: ControlMessage): Promise<void>;

  /**
   * Resolves when every publication that this host has acknowledged is delivered here. Takes a few seconds at most, and
   * never rejects.
   */
  settle(): Promise<void>;

  /** Disconnects after sending the publications that were accepted before. */
  close(): Promise<void>;
}
