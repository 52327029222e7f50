import { randomBytes } from 'node:crypto';
import { GusherError } from '../../shared/errors/catalogue.ts';
import type { MessagePipe } from '../../shared/ipc/message-pipe.ts';
import type { BrokerStatus, ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import { decodeRelayFrame, encodeRelayFrame, type RelayItem } from '../../shared/ipc/relay-frame.ts';
import {
  CONTROL_TOPIC,
  type ControlMessage,
  encodeControlMessage,
  parseControlMessage,
} from '../../shared/model/control-message.ts';
import { type CachedPublication, type Publication, withCacheFlag } from '../../shared/model/publication.ts';
import { FlushScheduler } from '../../shared/scheduling/flush-scheduler.ts';
import type { Broker, BrokerHealth, BrokerListener } from './broker.ts';

/** What may be on its way to the primary. */
const IN_FLIGHT_MAX_BYTES = 64 * 1024 * 1024;

const MEASURE_MS = 1_000;
const ECHO_TIMEOUT_MS = 2_000;
const ECHO = 'gusher:echo:';

type Request = Extract<ToPrimary, { type: 'relaySubscribe' | 'relayUnsubscribe' | 'relayCacheQuery' }>;
type Answer = Extract<ToWorker, { type: `relay${string}` }>;

/** A publication on its way to the primary. */
interface Sent {
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * The embedded broker: publications go through the primary, which every worker has a line to. What is asked
 * of it in one turn leaves in order, in one write.
 */
export class RelayBroker implements Broker {
  readonly #pipe: Pick<MessagePipe<ToWorker, ToPrimary>, 'enqueue' | 'enqueueFrame' | 'flush'>;
  #status: BrokerStatus = 'connecting';
  #listener: BrokerListener | undefined;
  /** Requests, and the lines of items. */
  #outgoing: (Request | string)[] = [];
  /** Of each `relaySubscribe`, oldest first: whoever waits for it to be in effect. */
  readonly #pendingSubscribes: (() => void)[][] = [];
  /** What the primary has not passed on yet, oldest first. */
  readonly #publishing: Sent[] = [];
  #inFlightBytes = 0;
  readonly #scheduler: FlushScheduler;
  readonly #cacheQueries = new Map<number, (cached: CachedPublication | undefined) => void>();
  #lastId = 0;
  /** What this worker publishes to itself, to measure how long that takes. */
  readonly #echoTopic = ECHO + randomBytes(15).toString('base64url');
  #echoSentAt: number | undefined;
  #roundTripMs: number | undefined;
  #measurer: NodeJS.Timeout | undefined;

  /** `isIdle` tells whether turns of the loop are short: only then is more of a burst waited for. */
  constructor(options: {
    pipe: Pick<MessagePipe<ToWorker, ToPrimary>, 'enqueue' | 'enqueueFrame' | 'flush'>;
    isIdle: () => boolean;
  }) {
    this.#pipe = options.pipe;
    this.#scheduler = new FlushScheduler([() => this.#flush()], { waitForMore: options.isIdle });
  }

  get status(): BrokerStatus {
    return this.#status;
  }

  get health(): BrokerHealth {
    const isLate = this.#echoSentAt !== undefined && performance.now() - this.#echoSentAt > ECHO_TIMEOUT_MS;
    return {
      ...(isLate && { reason: 'the primary does not pass on publications' }),
      ...(this.#roundTripMs !== undefined && { roundTripMs: this.#roundTripMs }),
    };
  }

  get server(): undefined {
    return undefined;
  }

  /** Nothing to do: all workers have the same primary. */
  follow(): void {}

  async open(listener: BrokerListener): Promise<void> {
    this.#listener = listener;
    await Promise.all([this.subscribe(CONTROL_TOPIC), this.subscribe(this.#echoTopic)]);
    this.#status = 'connected';
    this.#measurer = setInterval(this.#measure, MEASURE_MS);
    this.#measure();
    listener.statusChanged('connected');
  }

  subscribe(topic: string): Promise<void> {
    return new Promise((resolve) => {
      const last = this.#last();
      if (last?.type === 'relaySubscribe') {
        last.topics.push(topic);
        this.#pendingSubscribes.at(-1)?.push(resolve);
      } else {
        this.#outgoing.push({ type: 'relaySubscribe', topics: [topic] });
        this.#pendingSubscribes.push([resolve]);
      }
      this.#scheduler.schedule();
    });
  }

  unsubscribe(topic: string): void {
    const last = this.#last();
    if (last?.type === 'relayUnsubscribe') last.topics.push(topic);
    else this.#outgoing.push({ type: 'relayUnsubscribe', topics: [topic] });
    this.#scheduler.schedule();
  }

  async publish(topic: string, publication: Publication): Promise<void> {
    await this.#publish({ topic, publication: withCacheFlag(publication) });
  }

  async broadcast(message: ControlMessage): Promise<void> {
    await this.#publish({ topic: CONTROL_TOPIC, control: encodeControlMessage(message) });
  }

  cached(topic: string): Promise<CachedPublication | undefined> {
    return new Promise((resolve) => {
      this.#lastId += 1;
      this.#cacheQueries.set(this.#lastId, resolve);
      this.#outgoing.push({ type: 'relayCacheQuery', id: this.#lastId, topic });
      this.#scheduler.schedule();
    });
  }

  /** Takes what the primary's half says. */
  receive(message: Answer): void {
    switch (message.type) {
      case 'relayReceived':
        for (const sent of this.#publishing.splice(0, message.count)) {
          this.#inFlightBytes -= sent.bytes;
          sent.resolve();
        }
        break;
      case 'relayCached':
        this.#cacheQueries.get(message.id)?.(message.cached);
        this.#cacheQueries.delete(message.id);
        break;
      case 'relaySubscribed':
        for (const resolve of this.#pendingSubscribes.shift() ?? []) resolve();
        break;
      default:
        message satisfies never;
    }
  }

  /** Takes an item that the primary has passed on. */
  receiveFrame(topic: string, frame: Buffer): void {
    if (topic === this.#echoTopic) {
      if (this.#echoSentAt !== undefined) this.#roundTripMs = performance.now() - this.#echoSentAt;
      this.#echoSentAt = undefined;
      return;
    }
    const item = decodeRelayFrame(topic, frame);
    if ('publication' in item) {
      this.#listener?.deliver(topic, item.publication);
      return;
    }
    const message = parseControlMessage(item.control);
    if (message !== undefined) this.#listener?.control(message);
  }

  /** Nothing to do: what the primary sent before it asked for anything else has been heard before that. */
  async settle(): Promise<void> {}

  async close(): Promise<void> {
    clearInterval(this.#measurer);
    this.#flush();
    this.#status = 'closed';
    for (const { reject } of this.#publishing) reject(new GusherError('broker_unavailable'));
    this.#listener?.statusChanged('closed');
  }

  readonly #measure = (): void => {
    if (this.#echoSentAt !== undefined) return;
    this.#echoSentAt = performance.now();
    const publication = { channel: this.#echoTopic, event: ECHO, data: 'null' };
    // What went wrong is known by its absence.
    this.#publish({ topic: this.#echoTopic, publication }).catch(() => undefined);
  };

  /** What the primary has passed on is not lost with this worker, and nothing can overtake it. */
  async #publish(item: RelayItem): Promise<void> {
    if (this.#status !== 'connected') throw new GusherError('broker_unavailable');
    const frame = encodeRelayFrame(item);
    const bytes = frame.length;
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + bytes > IN_FLIGHT_MAX_BYTES) {
      throw new GusherError('broker_busy');
    }
    this.#inFlightBytes += bytes;
    await new Promise<void>((resolve, reject) => {
      this.#publishing.push({ bytes, resolve, reject });
      this.#outgoing.push(frame);
      this.#scheduler.schedule();
    });
  }

  #last(): Request | undefined {
    const last = this.#outgoing.at(-1);
    return typeof last === 'string' ? undefined : last;
  }

  #flush(): void {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    for (const one of outgoing) {
      if (typeof one === 'string') this.#pipe.enqueueFrame(one);
      else this.#pipe.enqueue(one);
    }
    this.#pipe.flush();
  }
}
