import type { BrokerStatus } from '../../shared/ipc/messages.ts';
import type { ControlMessage } from '../../shared/model/control-message.ts';
import type { CachedPublication, Publication } from '../../shared/model/publication.ts';

/** Who hears what a broker brings: the hub. */
export interface BrokerListener {
  /** A publication for a topic this worker is subscribed to; also this worker's own, so all see one order. */
  deliver(topic: string, publication: Publication): void;
  /** A control message of any worker, this one included. */
  control(message: ControlMessage): void;
  /** The link changed its state. */
  statusChanged(state: BrokerStatus): void;
  /**
   * The broker refuses the subscription to this topic, which this worker is not subscribed to any more. A caller that
   * waits for `subscribe` gets its rejection after this.
   */
  refused(topic: string): void;
}

/** What was measured last: a publication that the broker carried from this worker to itself. */
export interface BrokerHealth {
  /** Why publishing does not work, for a person; `undefined` if it does. */
  readonly reason?: string;
  /** From the publication to its arrival, in ms. */
  readonly roundTripMs?: number;
}

/**
 * Carries publications between the workers of one host, or of many.
 *
 * Promises: per topic, whatever is published after another publication was taken is delivered after it; nothing
 * is delivered twice, except that a publication with an id may be published again; at most once. What is
 * published while a subscriber's link is lost does not reach it.
 */
export interface Broker {
  readonly status: BrokerStatus;
  readonly health: BrokerHealth;
  /** Names the server process that carries publications; `undefined` if it is the primary, or unknown. */
  readonly server: string | undefined;

  /** Other workers of this host are connected to that server: a link to another one is made again. */
  follow(server: string): void;

  /** Opens the link. Resolves once it was tried; a broker that is not there yet is no error. */
  open(listener: BrokerListener): Promise<void>;

  /**
   * From now on this worker wants the topic. Resolves once publications made after it will arrive; while the
   * link is lost it resolves at once, and the subscription is made good when the link returns. Rejects with
   * `subscription_refused` if the broker refuses this topic; then the worker is not subscribed to it.
   * The caller subscribes to a topic once, and unsubscribes once.
   */
  subscribe(topic: string): Promise<void>;

  /** This worker no longer wants the topic. What is on its way may still arrive. */
  unsubscribe(topic: string): void;

  /**
   * Resolves once the broker has taken the publication, and this worker has received it if it is subscribed to the topic.
   * Rejects with a `GusherError`: `broker_unavailable` at once while the link is not live, `broker_busy` when more is in flight
   * than the broker's bound, `broker_refused` if the broker does not take it; `outcome_unknown` if the broker did not
   * answer, or this worker's link was lost: then it may have been published. What a
   * backend sends to a cache channel is kept, in the same order in which subscribers get it, who are told so (`kept`).
   */
  publish(topic: string, publication: Publication): Promise<void>;

  /**
   * The publication that a cache channel keeps, the same for all workers and hosts. To a worker that is subscribed
   * to the topic, whatever was published before the answer has been delivered when this resolves. Rejects with
   * `broker_unavailable` where that cannot be known.
   */
  cached(topic: string): Promise<CachedPublication | undefined>;

  /**
   * Brings a control message to every worker of every host, this one included: at most once, in the order of
   * this sender's broadcasts and publications. Resolves and rejects as `publish` does.
   */
  broadcast(message: ControlMessage): Promise<void>;

  /**
   * Resolves once whatever anybody on this host was told is published has been delivered here. Within a few
   * seconds, whatever the link does; never rejects.
   */
  settle(): Promise<void>;

  /** Ends the link; publications taken before are sent. */
  close(): Promise<void>;
}
