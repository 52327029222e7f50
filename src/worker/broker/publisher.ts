import type { App } from '../../shared/apps/app.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import { hostNow } from '../../shared/metrics/host-clock.ts';
import type { Stats } from '../../shared/metrics/stats.ts';
import {
  type ControlMessage,
  type DirectMessage,
  isDirectMessage,
} from '../../shared/model/control-message.ts';
import { topicOf } from '../../shared/model/names.ts';
import type { Publication } from '../../shared/model/publication.ts';
import { isDeliverable } from '../../shared/model/publication-size.ts';
import type { Recorder } from '../../shared/tail/tap.ts';
import type { TraceContext } from '../../shared/tracing/trace-context.ts';
import type { BrokerSpan, Tracer } from '../tracing/tracer.ts';
import type { Broker } from './broker.ts';

export interface PublisherOptions {
  readonly broker: Pick<Broker, 'publish' | 'broadcast'>;
  /**
   * `live`: every worker of this host is connected to its broker. `outages`: how often that ended; a worker may have
   * missed publications then, even if all are connected again.
   */
  readonly host: () => { readonly live: boolean; readonly outages: number };
  readonly stats: Pick<Stats, 'publications'>;
  /** Who publishes through it. */
  readonly source: 'api' | 'pusher_api' | 'client';
  /** Called with the app of each accepted publication. */
  readonly onPublished?: ((appKey: string) => void) | undefined;
  readonly tap: Recorder;
  /** Throws or rejects if the app has reached a limit per second. */
  readonly admit?: (app: App, count: number) => Promise<void> | undefined;
  /** See `publicationMaxBytes`. */
  readonly maxBytes: number;
  /** `undefined` without tracing. */
  readonly tracer?: Pick<Tracer, 'startBroker'> | undefined;
}

/** Publishes to channels. */
export type ChannelPublisher = Pick<Publisher, 'publish' | 'check' | 'admit'>;
/** Sends control messages. */
export type ControlSender = Pick<Publisher, 'broadcast' | 'admit'>;

/**
 * The single entry for publications of the API and of clients. It accepts them only while every worker of this host is
 * connected to its broker: an acknowledged publication must reach the clients of all workers. Rejects with
 * `broker_unavailable`, `broker_busy`, `broker_rejected` or `outcome_unknown`.
 */
export class Publisher {
  readonly #options: PublisherOptions;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /**
   * Call before the first of `count` publications of a request. Rejects with `too_many_publishes` or `too_many_bytes_out`;
   * then none may be published.
   */
  async admit(app: App, count: number): Promise<void> {
    await this.#options.admit?.(app, count);
  }

  /** Throws `publication_too_large` if no client could receive it. `publish` and `broadcast` check it too. */
  check(publication: Pick<Publication, 'data' | 'text' | 'fromClient'>): void {
    if (!isDeliverable(publication, this.#options.maxBytes)) throw new GusherError('publication_too_large');
  }

  /** Publishes to the subscribers of a channel. */
  async publish(appKey: string, publication: Publication): Promise<void> {
    this.check(publication);
    const outages = this.#requireLive();
    const { broker, stats, source, onPublished, tap } = this.#options;
    const topic = topicOf(appKey, publication.channel);
    const accepted = { ...publication, acceptedAt: hostNow() };
    const { trace } = publication;
    const span = trace && this.#options.tracer?.startBroker(appKey, trace, publication);
    const sending = broker.publish(topic, span === undefined ? accepted : withTrace(accepted, span.trace));
    if (span !== undefined) await this.#confirmTraced(sending, outages, span);
    else {
      await sending;
      this.#confirmDelivery(outages);
    }
    stats.publications[source] += 1;
    onPublished?.(appKey);
    if (tap.isOpen) tap.record({ type: 'published', app: appKey, ...shownOf(publication) });
  }

  /**
   * Sends a control message: to all connections of a user, or to one connection. `trace` is the context of the request,
   * which ends at the broker.
   */
  async broadcast(message: ControlMessage, trace?: TraceContext): Promise<void> {
    if (isDirectMessage(message)) this.check(message);
    const outages = this.#requireLive();
    const span = trace && this.#options.tracer?.startBroker(message.app, trace);
    const sending = this.#options.broker.broadcast(message);
    if (span !== undefined) await this.#confirmTraced(sending, outages, span);
    else {
      await sending;
      this.#confirmDelivery(outages);
    }
    if (!isDirectMessage(message)) return;
    const { stats, tap } = this.#options;
    stats.publications.direct += 1;
    if (tap.isOpen) tap.record({ type: 'published', ...recipientOf(message) });
  }

  /** Returns the number of outages until now. */
  #requireLive(): number {
    const { live, outages } = this.#options.host();
    if (!live) throw new GusherError('broker_unavailable');
    return outages;
  }

  #confirmDelivery(outagesBefore: number): void {
    if (this.#options.host().outages !== outagesBefore) throw new GusherError('outcome_unknown');
  }

  async #confirmTraced(sending: Promise<void>, outagesBefore: number, span: BrokerSpan): Promise<void> {
    try {
      await sending;
      this.#confirmDelivery(outagesBefore);
      span.end();
    } catch (error) {
      span.end(error);
      throw error;
    }
  }
}

function withTrace({ trace: _request, ...rest }: Publication, trace: TraceContext | undefined): Publication {
  return trace === undefined ? rest : { ...rest, trace };
}

/** The client that sent an event is its user. */
function shownOf({ channel, event, data, userId }: Publication) {
  return { channel, user: userId, event, data };
}

function recipientOf(message: DirectMessage) {
  const { app, event, data } = message;
  const to = message.kind === 'toUser' ? { user: message.user } : { connection: message.socket };
  return { app, ...to, event, data };
}
