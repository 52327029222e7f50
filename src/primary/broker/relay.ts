import type { MessagePipe } from '../../shared/ipc/message-pipe.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import { decodeRelayFrame } from '../../shared/ipc/relay-frame.ts';
import type { Logger } from '../../shared/logging/log.ts';
import { channelOf } from '../../shared/model/names.ts';
import { isCacheChannel } from '../../shared/model/pusher-channel.ts';
import { FlushScheduler } from '../../shared/scheduling/flush-scheduler.ts';
import { ChannelCache } from './channel-cache.ts';

/** Maximum unsent bytes of one worker; a worker that is further behind cannot catch up. */
const BACKLOG_MAX_BYTES = 64 * 1024 * 1024;

type Request = Extract<ToPrimary, { type: `relay${string}` }>;
type WorkerPipe = Pick<
  MessagePipe<ToPrimary, ToWorker>,
  'enqueue' | 'enqueueFrame' | 'flush' | 'unsentBytes'
>;

/** A worker as a source and a destination of publications. */
interface RelayPeer {
  readonly pipe: WorkerPipe;
  readonly topics: Set<string>;
  /** Frames that it sent and that are not acknowledged yet. */
  received: number;
  dropping: boolean;
}

/**
 * The primary's part of the embedded broker: forwards each publication to all workers that are subscribed to its topic.
 * The publisher receives its own publications too, so that all workers see the same order. The relay decodes only
 * publications of cache channels, and writes to each worker once per turn of the event loop.
 */
export class Relay {
  readonly #log: Logger;
  readonly #peers = new Map<number, RelayPeer>();
  readonly #subscribers = new Map<string, Set<number>>();
  readonly #scheduler = new FlushScheduler([() => this.flush()], { waitForMore: () => true });
  readonly #cache = new ChannelCache();
  /** Publications dropped because a worker was too far behind. */
  dropped = 0;

  constructor(options: { log: Logger }) {
    this.#log = options.log;
  }

  addWorker(slot: number, pipe: WorkerPipe): void {
    this.#peers.set(slot, { pipe, topics: new Set(), received: 0, dropping: false });
  }

  dropWorker(slot: number): void {
    const peer = this.#peers.get(slot);
    if (peer === undefined) return;
    for (const topic of peer.topics) this.#unsubscribe(slot, peer, topic);
    this.#peers.delete(slot);
  }

  receive(slot: number, message: Request): void {
    const peer = this.#peers.get(slot);
    if (peer === undefined) return;
    switch (message.type) {
      case 'relaySubscribe':
        for (const topic of message.topics) this.#subscribe(slot, peer, topic);
        peer.pipe.enqueue({ type: 'relaySubscribed' });
        break;
      case 'relayUnsubscribe':
        for (const topic of message.topics) this.#unsubscribe(slot, peer, topic);
        break;
      case 'relayCacheQuery':
        peer.pipe.enqueue({
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

  /** Forwards a frame of a worker. `frame` is valid only during the call. */
  forward(slot: number, topic: string, frame: Buffer): void {
    const source = this.#peers.get(slot);
    if (source !== undefined) source.received += 1;
    this.#scheduler.schedule();
    if (isCacheChannel(channelOf(topic))) this.#cachePublication(topic, frame);
    const subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) return;
    const shared = Buffer.from(frame);
    for (const subscriber of subscribers) this.#offer(subscriber, shared);
  }

  /** Writes what waits for the end of this turn, before anything that is sent later. */
  flush(): void {
    for (const peer of this.#peers.values()) {
      const { pipe, received: count } = peer;
      if (count > 0) pipe.enqueue({ type: 'relayReceived', count });
      peer.received = 0;
      pipe.flush();
    }
  }

  #subscribe(slot: number, { topics }: RelayPeer, topic: string): void {
    topics.add(topic);
    const subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) this.#subscribers.set(topic, new Set([slot]));
    else subscribers.add(slot);
  }

  #unsubscribe(slot: number, { topics }: RelayPeer, topic: string): void {
    topics.delete(topic);
    const subscribers = this.#subscribers.get(topic);
    subscribers?.delete(slot);
    if (subscribers?.size === 0) this.#subscribers.delete(topic);
  }

  #cachePublication(topic: string, frame: Buffer): void {
    const item = decodeRelayFrame(topic, frame);
    if (item.kind === 'publication' && item.publication.cached === true)
      this.#cache.set(topic, item.publication, frame.length);
  }

  #offer(slot: number, shared: Buffer): void {
    const peer = this.#peers.get(slot);
    if (peer === undefined) return;
    const backlogBytes = peer.pipe.unsentBytes + shared.length;
    const maxBytes = peer.dropping ? BACKLOG_MAX_BYTES / 2 : BACKLOG_MAX_BYTES;
    if (backlogBytes <= maxBytes) {
      peer.dropping = false;
      peer.pipe.enqueueFrame(shared);
      return;
    }
    this.dropped += 1;
    if (!peer.dropping)
      this.#log.warn({ event: 'worker_behind', slot }, 'worker too slow, dropping publications');
    peer.dropping = true;
  }
}
