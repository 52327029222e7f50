import { CONTROL_TOPIC, type ControlMessage, controlText, parseControl } from '../../shared/control.ts';
import { RefusalError } from '../../shared/errors.ts';
import {
  type BrokerLink,
  type RelayedAnswer,
  type RelayItem,
  sizeOfItem,
  type ToPrimary,
  type ToWorker,
} from '../../shared/ipc.ts';
import type { KeptPublication, Publication } from '../../shared/publication.ts';
import { Turn } from '../../shared/turn.ts';
import type { Broker, BrokerListener } from './broker.ts';

/** What may be on its way to the primary. */
const IN_FLIGHT_MAX_BYTES = 64 * 1024 * 1024;
/**
 * The primary bounds what is on its way here. It need not know at once, which would cost as much as a publication: it
 * is told after so much, a small part of its bound, or so long.
 */
const TELL_AFTER_BYTES = 4 * 1024 * 1024;
const TELL_AFTER_MS = 500;

type ToRelay = Extract<
  ToPrimary,
  { type: 'relaySubscribe' | 'relayUnsubscribe' | 'relayPublish' | 'relayAsk' }
>;
type FromRelay = Extract<ToWorker, { type: `relay${string}` }>;

/** Publications that leave in one message. */
interface Batch {
  bytes: number;
  readonly waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[];
}

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
  /** Of each `relayPublish` that the primary has not taken yet, oldest first: who waits for that. */
  readonly #publishing: Batch[] = [];
  #inFlightBytes = 0;
  /** Messages that were delivered, and the primary does not know yet; and their bytes. */
  #heard = 0;
  #heardBytes = 0;
  #telling: NodeJS.Timeout | undefined;
  readonly #turn = new Turn([() => this.#flush()], { isPatient: true });
  readonly #asked = new Map<number, (kept: KeptPublication | undefined) => void>();
  #lastId = 0;

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
      this.#turn.request();
    });
  }

  unsubscribe(topic: string): void {
    const last = this.#outgoing.at(-1);
    if (last?.type === 'relayUnsubscribe') last.topics.push(topic);
    else this.#outgoing.push({ type: 'relayUnsubscribe', topics: [topic] });
    this.#turn.request();
  }

  async publish(topic: string, publication: Publication): Promise<void> {
    await this.#pass({ topic, publication });
  }

  async broadcast(message: ControlMessage): Promise<void> {
    await this.#pass({ topic: CONTROL_TOPIC, control: controlText(message) });
  }

  kept(topic: string): Promise<KeptPublication | undefined> {
    return new Promise((resolve) => {
      this.#lastId += 1;
      this.#asked.set(this.#lastId, resolve);
      this.#outgoing.push({ type: 'relayAsk', id: this.#lastId, topic });
      this.#turn.request();
    });
  }

  /** Takes what the primary's half says. */
  receive(message: FromRelay): void {
    switch (message.type) {
      case 'relay':
        for (let left = message.taken; left > 0; left -= 1) this.#confirm();
        for (const item of message.items) this.#take(item);
        if (message.items.length > 0) this.#hear(message.items);
        break;
      case 'relaySubscribed':
        for (const resolve of this.#joining.shift() ?? []) resolve();
        break;
      default:
        message satisfies never;
    }
  }

  /** Nothing to do: what the primary sent before it asked for anything else has been heard before that. */
  async settle(): Promise<void> {}

  async close(): Promise<void> {
    clearTimeout(this.#telling);
    this.#flush();
    this.#link = 'closed';
    for (const { waiting } of this.#publishing) {
      for (const { reject } of waiting) reject(new RefusalError('broker_lost'));
    }
    this.#listener?.linkChanged('closed');
  }

  #hear(items: readonly (RelayItem | RelayedAnswer)[]): void {
    this.#heard += 1;
    for (const item of items) if (!('id' in item)) this.#heardBytes += sizeOfItem(item);
    if (this.#heardBytes >= TELL_AFTER_BYTES) this.#tell();
    else this.#telling ??= setTimeout(this.#tell, TELL_AFTER_MS);
  }

  readonly #tell = (): void => {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    this.#send({ type: 'relayTaken', count: this.#heard });
    this.#heard = 0;
    this.#heardBytes = 0;
  };

  /** What the primary has taken is not lost with this worker, and nothing can overtake it. */
  async #pass(item: RelayItem): Promise<void> {
    if (this.#link !== 'live') throw new RefusalError('broker_lost');
    const bytes = sizeOfItem(item);
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + bytes > IN_FLIGHT_MAX_BYTES) {
      throw new RefusalError('broker_busy');
    }
    this.#inFlightBytes += bytes;
    await new Promise<void>((resolve, reject) => {
      this.#batchFor(item, bytes).waiting.push({ resolve, reject });
      this.#turn.request();
    });
  }

  /** Adds to the batch that leaves at the end of this turn. */
  #batchFor(item: RelayItem, bytes: number): Batch {
    const last = this.#outgoing.at(-1);
    const open = last?.type === 'relayPublish' ? this.#publishing.at(-1) : undefined;
    if (last?.type === 'relayPublish' && open !== undefined) {
      last.items.push(item);
      open.bytes += bytes;
      return open;
    }
    const batch: Batch = { bytes, waiting: [] };
    this.#outgoing.push({ type: 'relayPublish', items: [item] });
    this.#publishing.push(batch);
    return batch;
  }

  #confirm(): void {
    const batch = this.#publishing.shift();
    if (batch === undefined) return;
    this.#inFlightBytes -= batch.bytes;
    for (const { resolve } of batch.waiting) resolve();
  }

  #take(item: RelayItem | RelayedAnswer): void {
    if ('publication' in item) {
      this.#listener?.deliver(item.topic, item.publication);
      return;
    }
    if ('id' in item) {
      this.#asked.get(item.id)?.(item.kept);
      this.#asked.delete(item.id);
      return;
    }
    const message = parseControl(item.control);
    if (message !== undefined) this.#listener?.control(message);
  }

  #flush(): void {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    for (const message of outgoing) this.#send(message);
  }
}
