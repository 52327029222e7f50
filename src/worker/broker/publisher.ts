import { GusherError } from '../../shared/errors/catalogue.ts';
import type { ControlMessage } from '../../shared/model/control-message.ts';
import { topicOf } from '../../shared/model/names.ts';
import type { Publication } from '../../shared/model/publication.ts';
import { isDeliverable } from '../../shared/model/publication-size.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Broker } from './broker.ts';

/**
 * The one door in for whatever is to reach clients, from the API and from clients themselves. It is open only
 * while every worker of this host hears its broker: what is acknowledged is not lost to a neighbour whose link
 * has still to come back. Rejects with `broker_unavailable`, `broker_busy`, `broker_refused` or `outcome_unknown`.
 */
export class Publisher {
  readonly #broker: Pick<Broker, 'publish' | 'broadcast'>;
  readonly #isLive: () => boolean;
  readonly #mayHaveMissed: () => boolean;
  readonly #stats: Stats;
  readonly #maxBytes: number;

  /** `mayHaveMissed`: a worker of this host does not receive publications now. */
  constructor(options: {
    broker: Pick<Broker, 'publish' | 'broadcast'>;
    isLive: () => boolean;
    mayHaveMissed: () => boolean;
    stats: Stats;
    /** See `publicationMaxBytes`. */
    maxBytes: number;
  }) {
    this.#broker = options.broker;
    this.#isLive = options.isLive;
    this.#mayHaveMissed = options.mayHaveMissed;
    this.#stats = options.stats;
    this.#maxBytes = options.maxBytes;
  }

  /** Throws `publication_too_large` for what no client could receive. `publish` and `broadcast` check it too. */
  check(publication: Pick<Publication, 'data' | 'text' | 'fromClient'>): void {
    if (!isDeliverable(publication, this.#maxBytes)) throw new GusherError('publication_too_large');
  }

  /** To the subscribers of a channel. */
  async publish(appKey: string, publication: Publication): Promise<void> {
    this.check(publication);
    if (!this.#isLive()) throw new GusherError('broker_unavailable');
    await this.#broker.publish(topicOf(appKey, publication.channel), publication);
    this.#confirmLive();
    this.#stats.publicationsAccepted += 1;
  }

  /** To the connections of a user, or to one socket. */
  async broadcast(message: ControlMessage): Promise<void> {
    if ('data' in message) this.check(message);
    if (!this.#isLive()) throw new GusherError('broker_unavailable');
    await this.#broker.broadcast(message);
    this.#confirmLive();
  }

  /** A worker of this host that lost its broker meanwhile may have missed what was published. */
  #confirmLive(): void {
    if (this.#mayHaveMissed()) throw new GusherError('outcome_unknown');
  }
}
