import { isUtf8 } from 'node:buffer';
import type { Stats } from '../../../shared/metrics/stats.ts';
import { CONTROL_TOPIC, parseControlMessage } from '../../../shared/model/control-message.ts';
import { parseEnvelope } from '../../../shared/model/envelope.ts';
import { isAppKey, topicOf } from '../../../shared/model/names.ts';
import type { Publication } from '../../../shared/model/publication.ts';
import { envelopeMaxBytes, isDeliverable } from '../../../shared/model/publication-size.ts';
import type { Redis } from '../../../shared/redis/client.ts';
import { BACKPUSH_TOPIC, parseBackpush } from '../backpush.ts';
import type { BrokerListener } from '../broker.ts';
import type { RedisEcho } from './redis-echo.ts';
import type { RedisLog } from './redis-log.ts';
import type { RedisSubscriptions } from './redis-subscriptions.ts';

export interface RedisReceiverOptions {
  readonly client: Redis;
  readonly prefix: string;
  readonly hostId: string;
  readonly maxBytes: number;
  readonly echo: RedisEcho;
  readonly subscriptions: Pick<RedisSubscriptions, 'has'>;
  readonly stats: Stats;
  readonly log: RedisLog;
}

/** Receives messages from Redis. They are hostile until parsed: anyone with access to Redis can publish. */
export class RedisReceiver {
  readonly #options: RedisReceiverOptions;
  #listener: BrokerListener | undefined;

  constructor(options: RedisReceiverOptions) {
    this.#options = options;
    options.client.on('messageBuffer', this.#onMessage);
    options.client.on('pmessageBuffer', this.#onPatternMessage);
  }

  open(listener: BrokerListener): void {
    this.#listener = listener;
  }

  /** Parses an envelope. Returns `undefined` if it is malformed, too large, or of another channel than its topic. */
  parseEnvelope(topic: string, message: Buffer): Publication | undefined {
    const text = this.#decode(message);
    const publication = text === undefined ? undefined : parseEnvelope(text, this.#options.hostId);
    const channel = topic.slice(topic.indexOf('@') + 1);
    if (publication?.channel !== channel) return undefined;
    return isDeliverable(publication, this.#options.maxBytes) ? publication : undefined;
  }

  readonly #onMessage = (name: Buffer, message: Buffer): void => {
    const { prefix, echo, subscriptions } = this.#options;
    const topic = name.toString('utf8').slice(prefix.length);
    if (topic === echo.topic) echo.receive(message);
    else if (topic === BACKPUSH_TOPIC) this.#receiveBackpush(undefined, message);
    else if (topic === CONTROL_TOPIC) this.#receiveControlMessage(message);
    else if (subscriptions.has(topic)) this.#receiveEnvelope(topic, message);
  };

  readonly #onPatternMessage = (_pattern: Buffer, name: Buffer, message: Buffer): void => {
    const appKey = name.toString('utf8').slice(`${this.#options.prefix}${BACKPUSH_TOPIC}:`.length);
    this.#receiveBackpush(appKey, message);
  };

  #receiveEnvelope(topic: string, message: Buffer): void {
    const publication = this.parseEnvelope(topic, message);
    if (publication !== undefined) this.#listener?.deliver(topic, publication);
    else this.#countMalformed(topic);
  }

  #receiveBackpush(appKeyOfChannel: string | undefined, message: Buffer): void {
    const text = this.#decode(message);
    const push = text === undefined ? undefined : parseBackpush(text, appKeyOfChannel);
    const isValid = push !== undefined && isAppKey(push.appKey);
    if (!isValid || !isDeliverable(push.publication, this.#options.maxBytes)) {
      this.#countMalformed(BACKPUSH_TOPIC);
      return;
    }
    const topic = topicOf(push.appKey, push.publication.channel);
    if (this.#options.subscriptions.has(topic)) this.#listener?.deliver(topic, push.publication);
  }

  #receiveControlMessage(message: Buffer): void {
    const text = this.#decode(message);
    const control = text === undefined ? undefined : parseControlMessage(text);
    if (control === undefined) this.#countMalformed(CONTROL_TOPIC);
    else this.#listener?.control(control);
  }

  /** Returns the text of a message; `undefined` if it is too long or not UTF-8. */
  #decode(message: Buffer): string | undefined {
    const fits = message.length <= envelopeMaxBytes(this.#options.maxBytes);
    return fits && isUtf8(message) ? message.toString('utf8') : undefined;
  }

  #countMalformed(topic: string): void {
    const { stats, log } = this.#options;
    stats.publicationsMalformed += 1;
    log.messageMalformed(topic, stats.publicationsMalformed);
  }
}
