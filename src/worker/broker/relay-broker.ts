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

/** Bytes that the primary has not acknowledged. */
const IN_FLIGHT_MAX_BYTES = 64 * 1024 * 1024;

const MEASURE_INTERVAL_MS = 1_000;
/** Requests without an answer of the primary for so long are rejected, up to one measurement later. */
const ANSWER_TIMEOUT_MS = 4_000;
const ECHO_TIMEOUT_MS = 2_000;
/** Prefix of the topic on which a worker receives its own measurements, followed by a random id. */
const ECHO_TOPIC_PREFIX = 'gusher:echo:';

type Request = Extract<ToPrimary, { type: 'relaySubscribe' | 'relayUnsubscribe' | 'relayCacheQuery' }>;
type Answer = Extract<ToWorker, { type: `relay${string}` }>;

/** A publication that the primary has not acknowledged. */
interface PendingPublication extends Pending<void> {
  readonly bytes: number;
}

/** A caller that waits for the primary. */
interface Pending<T> {
  readonly sentAt: number;
  readonly resolve: (result: T) => void;
  readonly reject: (error: Error) => void;
}

/** The pipe from this worker to the primary. */
export type PrimaryPipe = Pick<MessagePipe<ToWorker, ToPrimary>, 'enqueue' | 'enqueueFrame' | 'flush'>;

export interface RelayBrokerOptions {
  readonly pipe: PrimaryPipe;
  /** Returns true while turns of the event loop are short: only then a flush waits for the rest of a burst. */
  readonly isIdle: () => boolean;
}

/**
 * The embedded broker: the primary relays publications between the workers. Requests of one turn of the event loop leave
 * in order, in one write.
 */
export class RelayBroker implements Broker {
  readonly #pipe: PrimaryPipe;
  #status: BrokerStatus = 'connecting';
  #listener: BrokerListener | undefined;
  /** Requests, and frames as text. */
  #outgoing: (Request | string)[] = [];
  /** The callers that wait for each `relaySubscribe`, oldest first. */
  readonly #pendingSubscribes: Pending<void>[][] = [];
  /** Publications that the primary has not acknowledged, oldest first. */
  readonly #publishing: PendingPublication[] = [];
  #inFlightBytes = 0;
  readonly #scheduler: FlushScheduler;
  readonly #cacheQueries = new Map<number, Pending<CachedPublication | undefined>>();
  #lastId = 0;
  /** The topic on which this worker publishes to itself to measure the round trip. */
  readonly #echoTopic = ECHO_TOPIC_PREFIX + randomBytes(15).toString('base64url');
  #echoSentAt: number | undefined;
  #roundTripMs: number | undefined;
  #measuredAt: number | undefined;
  #measureTimer: NodeJS.Timeout | undefined;

  constructor({ pipe, isIdle }: RelayBrokerOptions) {
    this.#pipe = pipe;
    this.#scheduler = new FlushScheduler([() => this.#flush()], { waitForMore: isIdle });
  }

  get status(): BrokerStatus {
    return this.#status;
  }

  get health(): BrokerHealth {
    const isLate = this.#echoSentAt !== undefined && performance.now() - this.#echoSentAt > ECHO_TIMEOUT_MS;
    return {
      ...(isLate && { reason: 'the primary does not pass on publications' }),
      ...(this.#roundTripMs !== undefined && { roundTripMs: this.#roundTripMs }),
      ...(this.#measuredAt !== undefined && { measuredAt: this.#measuredAt }),
    };
  }

  get server(): undefined {
    return undefined;
  }

  /** Does nothing: all workers have the same primary. */
  follow(): void {}

  async open(listener: BrokerListener): Promise<void> {
    this.#listener = listener;
    await Promise.all([this.subscribe(CONTROL_TOPIC), this.subscribe(this.#echoTopic)]);
    this.#status = 'connected';
    this.#measureTimer = setInterval(this.#measure, MEASURE_INTERVAL_MS);
    this.#measure();
    listener.statusChanged('connected');
  }

  subscribe(topic: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const pending = { sentAt: performance.now(), resolve, reject };
      const last = this.#lastRequest();
      if (last?.type === 'relaySubscribe') {
        last.topics.push(topic);
        this.#pendingSubscribes.at(-1)?.push(pending);
      } else {
        this.#outgoing.push({ type: 'relaySubscribe', topics: [topic] });
        this.#pendingSubscribes.push([pending]);
      }
      this.#scheduler.schedule();
    });
  }

  unsubscribe(topic: string): void {
    const last = this.#lastRequest();
    if (last?.type === 'relayUnsubscribe') last.topics.push(topic);
    else this.#outgoing.push({ type: 'relayUnsubscribe', topics: [topic] });
    this.#scheduler.schedule();
  }

  async publish(topic: string, publication: Publication): Promise<void> {
    await this.#publish({ kind: 'publication', topic, publication: withCacheFlag(publication) });
  }

  async broadcast(message: ControlMessage): Promise<void> {
    await this.#publish({ kind: 'control', topic: CONTROL_TOPIC, control: encodeControlMessage(message) });
  }

  cached(topic: string): Promise<CachedPublication | undefined> {
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      this.#cacheQueries.set(this.#lastId, { sentAt: performance.now(), resolve, reject });
      this.#outgoing.push({ type: 'relayCacheQuery', id: this.#lastId, topic });
      this.#scheduler.schedule();
    });
  }

  /** Handles an answer of the primary. */
  receive(message: Answer): void {
    switch (message.type) {
      case 'relayReceived':
        for (const { bytes, resolve } of this.#publishing.splice(0, message.count)) {
          this.#inFlightBytes -= bytes;
          resolve();
        }
        break;
      case 'relayCached':
        this.#cacheQueries.get(message.id)?.resolve(message.cached);
        this.#cacheQueries.delete(message.id);
        break;
      case 'relaySubscribed':
        for (const { resolve } of this.#pendingSubscribes.shift() ?? []) resolve();
        break;
      default:
        message satisfies never;
    }
  }

  /** Handles a publication or a control message that the primary relays. */
  receiveFrame(topic: string, frame: Buffer): void {
    if (topic === this.#echoTopic) {
      this.#measuredAt = performance.now();
      if (this.#echoSentAt !== undefined) this.#roundTripMs = this.#measuredAt - this.#echoSentAt;
      this.#echoSentAt = undefined;
      return;
    }
    const item = decodeRelayFrame(topic, frame);
    if (item.kind === 'publication') {
      this.#listener?.deliver(topic, item.publication);
      return;
    }
    const message = parseControlMessage(item.control);
    if (message !== undefined) this.#listener?.control(message);
  }

  /** Does nothing: the pipe of the primary delivers publications in order with its other messages. */
  async settle(): Promise<void> {}

  async close(): Promise<void> {
    clearInterval(this.#measureTimer);
    this.#flush();
    this.#status = 'closed';
    for (const { reject } of this.#publishing) reject(new GusherError('broker_unavailable'));
    this.#listener?.statusChanged('closed');
  }

  readonly #measure = (): void => {
    // Behind the answers that have arrived but are not read yet, because this process was late itself.
    setImmediate(this.#rejectUnanswered);
    if (this.#echoSentAt !== undefined) return;
    this.#echoSentAt = performance.now();
    const publication = { channel: this.#echoTopic, event: ECHO_TOPIC_PREFIX, data: 'null' };
    // `health` reports an echo that does not arrive.
    this.#publish({ kind: 'publication', topic: this.#echoTopic, publication }).catch(() => undefined);
  };

  /**
   * Rejects what waited too long. Publications and subscriptions stay in their lists, because the primary answers in
   * order and may still answer.
   */
  readonly #rejectUnanswered = (): void => {
    const sentBefore = performance.now() - ANSWER_TIMEOUT_MS;
    for (const { sentAt, reject } of this.#publishing) {
      if (sentAt > sentBefore) break;
      reject(new GusherError('outcome_unknown'));
    }
    for (const pending of this.#pendingSubscribes) {
      for (const { sentAt, reject } of pending)
        if (sentAt <= sentBefore) reject(new GusherError('broker_unavailable'));
    }
    for (const [id, { sentAt, reject }] of this.#cacheQueries) {
      if (sentAt > sentBefore) break;
      this.#cacheQueries.delete(id);
      reject(new GusherError('broker_unavailable'));
    }
  };

  /** Resolves when the primary has relayed the item: it then outlives this worker and keeps its place in the order. */
  async #publish(item: RelayItem): Promise<void> {
    if (this.#status !== 'connected') throw new GusherError('broker_unavailable');
    const frame = encodeRelayFrame(item);
    const bytes = frame.length;
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + bytes > IN_FLIGHT_MAX_BYTES) {
      throw new GusherError('broker_busy');
    }
    this.#inFlightBytes += bytes;
    await new Promise<void>((resolve, reject) => {
      this.#publishing.push({ bytes, sentAt: performance.now(), resolve, reject });
      this.#outgoing.push(frame);
      this.#scheduler.schedule();
    });
  }

  /** Returns the request at the end of the queue, to which topics of the same kind can be added. */
  #lastRequest(): Request | undefined {
    const last = this.#outgoing.at(-1);
    return typeof last === 'string' ? undefined : last;
  }

  #flush(): void {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    for (const item of outgoing) {
      if (typeof item === 'string') this.#pipe.enqueueFrame(item);
      else this.#pipe.enqueue(item);
    }
    this.#pipe.flush();
  }
}
