import { CONTROL_TOPIC, type ControlMessage, controlText, parseControl } from '../../shared/control.ts';
import { RefusalError } from '../../shared/errors.ts';
import {
  type BrokerLink,
  type RelayItem,
  sizeOfItem,
  type ToPrimary,
  type ToWorker,
} from '../../shared/ipc.ts';
import type { Publication } from '../../shared/publication.ts';
import type { Broker, BrokerListener } from './broker.ts';

/** What may be on its way to the primary. */
const IN_FLIGHT_MAX_BYTES = 64 * 1024 * 1024;

type ToRelay = Extract<ToPrimary, { type: 'relaySubscribe' | 'relayUnsubscribe' | 'relayPublish' }>;
type FromRelay = Extract<ToWorker, { type: `relay${string}` }>;

/**
 * The embedded broker: publications go through the primary, which every worker has a channel to. What is asked
 * of it in one turn leaves in order, and in as few messages as that allows.
 */
export class RelayBroker implements Broker {
  readonly #send: (message: ToPrimary) => void;
  #link: BrokerLink = 'connecting';
  #listener: BrokerListener | undefined;
  #outgoing: ToRelay[] = [];
  /** Of each `relaySubscribe`, oldest first: whoever waits for it to be in effect. */
  readonly #joining: (() => void)[][] = [];
  /** Sizes of the `relayPublish` messages on their way, oldest first, and what is in flight with them. */
  readonly #unconfirmed: number[] = [];
  #inFlightBytes = 0;
  #flushRequested = false;

  constructor(options: { send: (message: ToPrimary) => void }) {
    this.#send = options.send;
  }

  get link(): BrokerLink {
    return this.#link;
  }

  async open(listener: BrokerListener): Promise<void> {
    this.#listener = listener;
    await this.subscribe(CONTROL_TOPIC);
    this.#link = 'live';
    listener.linkChanged('live');
  }

  subscribe(topic: string): Promise<void> {
    return new Promise((resolve) => {
      const last = this.#outgoing.at(-1);
      if (last?.type === 'relaySubscribe') {
        last.topics.push(topic);
        this.#joining.at(-1)?.push(resolve);
      } else {
        this.#outgoing.push({ type: 'relaySubscribe', topics: [topic] });
        this.#joining.push([resolve]);
      }
      this.#requestFlush();
    });
  }

  unsubscribe(topic: string): void {
    const last = this.#outgoing.at(-1);
    if (last?.type === 'relayUnsubscribe') last.topics.push(topic);
    else this.#outgoing.push({ type: 'relayUnsubscribe', topics: [topic] });
    this.#requestFlush();
  }

  async publish(topic: string, publication: Publication): Promise<void> {
    this.#pass({ topic, publication });
  }

  async broadcast(message: ControlMessage): Promise<void> {
    this.#pass({ topic: CONTROL_TOPIC, control: controlText(message) });
  }

  /** Takes what the primary's half says. */
  receive(message: FromRelay): void {
    switch (message.type) {
      case 'relay':
        for (const item of message.items) this.#take(item);
        this.#send({ type: 'relayTaken' });
        break;
      case 'relaySubscribed':
        for (const resolve of this.#joining.shift() ?? []) resolve();
        break;
      case 'relayTaken':
        this.#inFlightBytes -= this.#unconfirmed.shift() ?? 0;
        break;
      default:
        message satisfies never;
    }
  }

  async close(): Promise<void> {
    this.#flush();
    this.#link = 'closed';
    this.#listener?.linkChanged('closed');
  }

  #pass(item: RelayItem): void {
    if (this.#link !== 'live') throw new RefusalError('broker_lost');
    const bytes = sizeOfItem(item);
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + bytes > IN_FLIGHT_MAX_BYTES) {
      throw new RefusalError('broker_busy');
    }
    this.#inFlightBytes += bytes;
    const last = this.#outgoing.at(-1);
    if (last?.type === 'relayPublish') last.items.push(item);
    else this.#outgoing.push({ type: 'relayPublish', items: [item] });
    this.#requestFlush();
  }

  #take(item: RelayItem): void {
    if (!('control' in item)) {
      this.#listener?.deliver(item.topic, item.publication);
      return;
    }
    const message = parseControl(item.control);
    if (message !== undefined) this.#listener?.control(message);
  }

  #requestFlush(): void {
    if (this.#flushRequested) return;
    this.#flushRequested = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushRequested = false;
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    for (const message of outgoing) {
      if (message.type === 'relayPublish') this.#unconfirmed.push(weigh(message.items));
      this.#send(message);
    }
  };
}

function weigh(items: readonly RelayItem[]): number {
  return items.reduce((sum, item) => sum + sizeOfItem(item), 0);
}
