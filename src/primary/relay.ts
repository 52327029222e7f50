import {
  type RelayedAnswer,
  type RelayItem,
  sizeOfItem,
  type ToPrimary,
  type ToWorker,
} from '../shared/ipc.ts';
import type { Logger } from '../shared/log.ts';
import { isKept } from '../shared/publication.ts';
import { Turn } from '../shared/turn.ts';
import { KeptPublications } from './kept-publications.ts';

/** What may be on its way to one worker. Beyond it the worker is so far behind that more would help nobody. */
const BACKLOG_MAX_BYTES = 64 * 1024 * 1024;

type FromWorker = Extract<ToPrimary, { type: `relay${string}` }>;

/** A worker as a destination. */
interface Destination {
  readonly topics: Set<string>;
  /** To be sent at the end of this turn. */
  outgoing: (RelayItem | RelayedAnswer)[];
  outgoingBytes: number;
  /** Of its own messages: passed on, and not told so yet. */
  taken: number;
  /** Sizes of the messages sent and not confirmed, oldest first, and their sum. */
  readonly unconfirmed: number[];
  backlogBytes: number;
  shedding: boolean;
}

/**
 * The embedded broker's half in the primary: passes the publications of each worker on to all workers that are
 * subscribed to the topic, the publisher's own included, so that everybody sees one order. An IPC message costs
 * as much as six publications in it do, so each destination gets one per turn.
 */
export class Relay {
  readonly #send: (slot: number, message: ToWorker) => void;
  readonly #log: Logger;
  readonly #destinations = new Map<number, Destination>();
  readonly #subscribers = new Map<string, Set<number>>();
  readonly #turn = new Turn([() => this.flush()], { isPatient: true });
  readonly #kept = new KeptPublications();
  /** Publications dropped because a worker was too far behind. */
  shed = 0;

  constructor(options: { send: (slot: number, message: ToWorker) => void; log: Logger }) {
    this.#send = options.send;
    this.#log = options.log;
  }

  receive(slot: number, message: FromWorker): void {
    switch (message.type) {
      case 'relaySubscribe':
        for (const topic of message.topics) this.#subscribe(slot, topic);
        this.#send(slot, { type: 'relaySubscribed' });
        break;
      case 'relayUnsubscribe':
        for (const topic of message.topics) this.#unsubscribe(slot, topic);
        break;
      case 'relayPublish':
        for (const item of message.items) this.#pass(item);
        this.#destination(slot).taken += 1;
        this.#turn.request();
        break;
      case 'relayAsk':
        this.#destination(slot).outgoing.push({ id: message.id, kept: this.#kept.find(message.topic) });
        this.#turn.request();
        break;
      case 'relayTaken':
        this.#confirm(slot, message.count);
        break;
      default:
        message satisfies never;
    }
  }

  /** A worker is gone: nothing is passed to it any more. */
  dropWorker(slot: number): void {
    const destination = this.#destinations.get(slot);
    for (const topic of destination?.topics ?? []) this.#unsubscribe(slot, topic);
    this.#destinations.delete(slot);
  }

  #subscribe(slot: number, topic: string): void {
    this.#destination(slot).topics.add(topic);
    const subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) this.#subscribers.set(topic, new Set([slot]));
    else subscribers.add(slot);
  }

  #unsubscribe(slot: number, topic: string): void {
    this.#destination(slot).topics.delete(topic);
    const subscribers = this.#subscribers.get(topic);
    subscribers?.delete(slot);
    if (subscribers?.size === 0) this.#subscribers.delete(topic);
  }

  #destination(slot: number): Destination {
    const present = this.#destinations.get(slot);
    if (present !== undefined) return present;
    const destination: Destination = {
      topics: new Set(),
      outgoing: [],
      outgoingBytes: 0,
      taken: 0,
      unconfirmed: [],
      backlogBytes: 0,
      shedding: false,
    };
    this.#destinations.set(slot, destination);
    return destination;
  }

  #pass(item: RelayItem): void {
    const bytes = sizeOfItem(item);
    if ('publication' in item && isKept(item.publication)) {
      this.#kept.keep(item.topic, item.publication, bytes);
    }
    const subscribers = this.#subscribers.get(item.topic);
    if (subscribers === undefined) return;
    for (const slot of subscribers) this.#offer(slot, item, bytes);
    this.#turn.request();
  }

  #offer(slot: number, item: RelayItem, bytes: number): void {
    const destination = this.#destination(slot);
    if (destination.backlogBytes + bytes > BACKLOG_MAX_BYTES) {
      this.shed += 1;
      if (!destination.shedding)
        this.#log.warn({ slot }, 'a worker is far behind: publications to it are lost');
      destination.shedding = true;
      return;
    }
    destination.outgoing.push(item);
    destination.outgoingBytes += bytes;
    destination.backlogBytes += bytes;
  }

  #confirm(slot: number, count: number): void {
    const destination = this.#destinations.get(slot);
    if (destination === undefined) return;
    for (const bytes of destination.unconfirmed.splice(0, count)) destination.backlogBytes -= bytes;
    if (destination.backlogBytes < BACKLOG_MAX_BYTES / 2) destination.shedding = false;
  }

  /** Sends what waits for the end of this turn; whatever is sent to a worker afterwards comes after it. */
  flush(): void {
    for (const [slot, destination] of this.#destinations) {
      const { outgoing: items, outgoingBytes, taken } = destination;
      if (items.length === 0 && taken === 0) continue;
      this.#send(slot, { type: 'relay', items, taken });
      if (items.length > 0) destination.unconfirmed.push(outgoingBytes);
      destination.taken = 0;
      destination.outgoing = [];
      destination.outgoingBytes = 0;
    }
  }
}
