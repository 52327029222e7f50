import type { Line } from '../../shared/ipc/message-pipe.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import { readRelayLine } from '../../shared/ipc/relay-frame.ts';
import type { Logger } from '../../shared/log.ts';
import { channelOf } from '../../shared/model/names.ts';
import { isCacheChannel } from '../../shared/model/pusher-channel.ts';
import { Turn } from '../../shared/scheduling/flush-scheduler.ts';
import { KeptPublications } from './channel-cache.ts';

/** What may be on its way to one worker. Beyond it the worker is so far behind that more would help nobody. */
const BACKLOG_MAX_BYTES = 64 * 1024 * 1024;

type Request = Extract<ToPrimary, { type: `relay${string}` }>;
type WorkerLine = Pick<Line<ToPrimary, ToWorker>, 'post' | 'postItem' | 'flush' | 'unsentBytes'>;

/** A worker as a source and a destination. */
interface Destination {
  readonly line: WorkerLine;
  readonly topics: Set<string>;
  /** Of its own items: passed on, and not told so yet. */
  taken: number;
  shedding: boolean;
}

/**
 * The embedded broker's half in the primary: passes the publications of each worker on to all workers that are
 * subscribed to the topic, the publisher's own included, so that everybody sees one order. It reads nothing of them but
 * the topic, except of cache channels, and writes to each destination once per turn.
 */
export class Relay {
  readonly #log: Logger;
  readonly #destinations = new Map<number, Destination>();
  readonly #subscribers = new Map<string, Set<number>>();
  readonly #turn = new Turn([() => this.flush()], { isPatient: () => true });
  readonly #kept = new KeptPublications();
  /** Publications dropped because a worker was too far behind. */
  shed = 0;

  constructor(options: { log: Logger }) {
    this.#log = options.log;
  }

  /** A worker can be spoken with. */
  addWorker(slot: number, line: WorkerLine): void {
    this.#destinations.set(slot, { line, topics: new Set(), taken: 0, shedding: false });
  }

  /** A worker is gone: nothing is passed to it any more. */
  dropWorker(slot: number): void {
    const destination = this.#destinations.get(slot);
    if (destination === undefined) return;
    for (const topic of destination.topics) this.#unsubscribe(slot, destination, topic);
    this.#destinations.delete(slot);
  }

  receive(slot: number, message: Request): void {
    const destination = this.#destinations.get(slot);
    if (destination === undefined) return;
    switch (message.type) {
      case 'relaySubscribe':
        for (const topic of message.topics) this.#subscribe(slot, destination, topic);
        destination.line.post({ type: 'relaySubscribed' });
        break;
      case 'relayUnsubscribe':
        for (const topic of message.topics) this.#unsubscribe(slot, destination, topic);
        break;
      case 'relayAsk':
        destination.line.post({ type: 'relayKept', id: message.id, kept: this.#kept.find(message.topic) });
        break;
      default:
        message satisfies never;
    }
    this.#turn.request();
  }

  /** Passes an item of a worker on. Its line is lent. */
  pass(slot: number, topic: string, line: Buffer): void {
    const source = this.#destinations.get(slot);
    if (source !== undefined) source.taken += 1;
    this.#turn.request();
    if (isCacheChannel(channelOf(topic))) this.#keep(topic, line);
    const subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) return;
    const shared = Buffer.from(line);
    for (const subscriber of subscribers) this.#offer(subscriber, shared);
  }

  /** Sends what waits for the end of this turn; whatever is sent to a worker afterwards comes after it. */
  flush(): void {
    for (const destination of this.#destinations.values()) {
      const { line, taken: count } = destination;
      if (count > 0) line.post({ type: 'relayTaken', count });
      destination.taken = 0;
      line.flush();
    }
  }

  #subscribe(slot: number, { topics }: Destination, topic: string): void {
    topics.add(topic);
    const subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) this.#subscribers.set(topic, new Set([slot]));
    else subscribers.add(slot);
  }

  #unsubscribe(slot: number, { topics }: Destination, topic: string): void {
    topics.delete(topic);
    const subscribers = this.#subscribers.get(topic);
    subscribers?.delete(slot);
    if (subscribers?.size === 0) this.#subscribers.delete(topic);
  }

  #keep(topic: string, line: Buffer): void {
    const item = readRelayLine(topic, line);
    if ('publication' in item && item.publication.kept === true)
      this.#kept.keep(topic, item.publication, line.length);
  }

  #offer(slot: number, shared: Buffer): void {
    const destination = this.#destinations.get(slot);
    if (destination === undefined) return;
    const backlogBytes = destination.line.unsentBytes + shared.length;
    const maxBytes = destination.shedding ? BACKLOG_MAX_BYTES / 2 : BACKLOG_MAX_BYTES;
    if (backlogBytes <= maxBytes) {
      destination.shedding = false;
      destination.line.postItem(shared);
      return;
    }
    this.shed += 1;
    if (!destination.shedding)
      this.#log.warn({ event: 'worker_behind', slot }, 'worker too slow, dropping publications');
    destination.shedding = true;
  }
}
