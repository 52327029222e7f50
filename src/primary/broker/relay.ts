import type { MessagePipe } from '../../shared/ipc/message-pipe.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import { decodeRelayFrame } from '../../shared/ipc/relay-frame.ts';
import type { Logger } from '../../shared/log.ts';
import { channelOf } from '../../shared/model/names.ts';
import { isCacheChannel } from '../../shared/model/pusher-channel.ts';
import { FlushScheduler } from '../../shared/scheduling/flush-scheduler.ts';
import { ChannelCache } from './channel-cache.ts';

/** What may be on its way to one worker. Beyond it the worker is so far behind that more would help nobody. */
const BACKLOG_MAX_BYTES = 64 * 1024 * 1024;

type Request = Extract<ToPrimary, { type: `relay${string}` }>;
type WorkerPipe = Pick<
  MessagePipe<ToPrimary, ToWorker>,
  'enqueue' | 'enqueueFrame' | 'flush' | 'unsentBytes'
>;

/** A worker as a source and a destination. */
interface Destination {
  readonly pipe: WorkerPipe;
  readonly topics: Set<string>;
  /** Of its own items: passed on, and not told so yet. */
  received: number;
  dropping: boolean;
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
  readonly #scheduler = new FlushScheduler([() => this.flush()], { waitForMore: () => true });
  readonly #cache = new ChannelCache();
  /** Publications dropped because a worker was too far behind. */
  dropped = 0;

  constructor(options: { log: Logger }) {
    this.#log = options.log;
  }

  /** A worker can be spoken with. */
  addWorker(slot: number, pipe: WorkerPipe): void {
    this.#destinations.set(slot, { pipe, topics: new Set(), received: 0, dropping: false });
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
        destination.pipe.enqueue({ type: 'relaySubscribed' });
        break;
      case 'relayUnsubscribe':
        for (const topic of message.topics) this.#unsubscribe(slot, destination, topic);
        break;
      case 'relayCacheQuery':
        destination.pipe.enqueue({
          type: 'relayCached',
          id: message.id,
          cached: this.#cache.find(message.topic),
        });
        break;
      default:
        message satisfies never;
    }
    this.#scheduler.schedule();
  }

  /** Passes an item of a worker on. Its line is lent. */
  forward(slot: number, topic: string, frame: Buffer): void {
    const source = this.#destinations.get(slot);
    if (source !== undefined) source.received += 1;
    this.#scheduler.schedule();
    if (isCacheChannel(channelOf(topic))) this.#cachePublication(topic, frame);
    const subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) return;
    const shared = Buffer.from(frame);
    for (const subscriber of subscribers) this.#offer(subscriber, shared);
  }

  /** Sends what waits for the end of this turn; whatever is sent to a worker afterwards comes after it. */
  flush(): void {
    for (const destination of this.#destinations.values()) {
      const { pipe, received: count } = destination;
      if (count > 0) pipe.enqueue({ type: 'relayReceived', count });
      destination.received = 0;
      pipe.flush();
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

  #cachePublication(topic: string, frame: Buffer): void {
    const item = decodeRelayFrame(topic, frame);
    if ('publication' in item && item.publication.cached === true)
      this.#cache.set(topic, item.publication, frame.length);
  }

  #offer(slot: number, shared: Buffer): void {
    const destination = this.#destinations.get(slot);
    if (destination === undefined) return;
    const backlogBytes = destination.pipe.unsentBytes + shared.length;
    const maxBytes = destination.dropping ? BACKLOG_MAX_BYTES / 2 : BACKLOG_MAX_BYTES;
    if (backlogBytes <= maxBytes) {
      destination.dropping = false;
      destination.pipe.enqueueFrame(shared);
      return;
    }
    this.dropped += 1;
    if (!destination.dropping)
      this.#log.warn({ event: 'worker_behind', slot }, 'worker too slow, dropping publications');
    destination.dropping = true;
  }
}
