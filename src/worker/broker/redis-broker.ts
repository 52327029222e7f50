import { isUtf8 } from 'node:buffer';
import { setTimeout as pause } from 'node:timers/promises';
import { RefusalError } from '../../shared/errors/catalogue.ts';
import type { BrokerLink } from '../../shared/ipc/messages.ts';
import type { Logger } from '../../shared/log.ts';
import { LogThrottle } from '../../shared/logging/log-throttle.ts';
import {
  CONTROL_TOPIC,
  type ControlMessage,
  controlText,
  parseControl,
} from '../../shared/model/control-message.ts';
import { envelopeText, parseEnvelope } from '../../shared/model/envelope.ts';
import { isAppKey, topicOf } from '../../shared/model/names.ts';
import { carried, KEPT_MS, type KeptPublication, type Publication } from '../../shared/model/publication.ts';
import {
  createRedisClient,
  distrust,
  escapePattern,
  quitRedis,
  type Redis,
} from '../../shared/redis/client.ts';
import { isRedisReply, redisFault } from '../../shared/redis/errors.ts';
import type { Stats } from '../../shared/stats.ts';
import { parseBackpush } from './backpush.ts';
import type { Broker, BrokerListener } from './broker.ts';

/** Beside its data an envelope holds two names and some punctuation. */
const ENVELOPE_ROOM_BYTES = 4_096;
const IN_FLIGHT_MAX_BYTES = 64 * 1024 * 1024;
/** Topics in one SUBSCRIBE: large enough to be few, small enough not to keep Redis busy with one. */
const TOPICS_PER_COMMAND = 500;
/** A link that is dead without a word is found after this and the time-out of a command. */
const PROBE_MS = 3_000;
const REFUSED_PAUSE_MS = 1_000;
/** Whoever publishes something wrong goes on doing so. */
const MALFORMED_INTERVAL_MS = 10_000;

const BACKPUSH = 'gusher:backpush';
/** Before the topic: the key of what a cache channel keeps. No app key has a colon. */
const KEPT = 'gusher:last:';

export interface RedisBrokerOptions {
  readonly url: string;
  readonly prefix: string;
  /** Longest `data` that is taken. */
  readonly maxBytes: number;
  readonly stats: Stats;
  readonly log: Logger;
}

/**
 * Redis pub/sub: one connection to publish, one to subscribe; each topic is a Redis channel `{prefix}{topic}`
 * that carries envelopes. What anybody may type into redis-cli is hostile until parsed.
 *
 * A publication whose connection dies before Redis has answered is refused with `broker_lost`, although Redis
 * may have taken it.
 */
export class RedisBroker implements Broker {
  readonly #prefix: string;
  readonly #maxBytes: number;
  readonly #stats: Stats;
  readonly #log: Logger;
  readonly #subscriber: Redis;
  readonly #publisher: Redis;
  #listener: BrokerListener | undefined;
  #link: BrokerLink = 'connecting';
  #lostAt = performance.now();
  #fault: unknown;

  /** What this worker wants: the one truth. `#asked`: what the present connection was asked for. */
  readonly #wanted = new Set<string>();
  readonly #asked = new Set<string>();
  readonly #changed = new Set<string>();
  #joining: (() => void)[] = [];
  #flushRequested = false;
  /** The subscriber's connection was told of everything that was wanted when it was made. */
  #subscribed = false;
  /** Both connections are up, and Redis is asked whether it knows of all that is wanted by now. */
  #confirming: symbol | undefined;

  #inFlightBytes = 0;
  readonly #malformed: LogThrottle;
  #prober: NodeJS.Timeout | undefined;
  #announceTried: () => void = () => undefined;

  constructor({ url, prefix, maxBytes, stats, log }: RedisBrokerOptions) {
    this.#prefix = prefix;
    this.#maxBytes = maxBytes;
    this.#stats = stats;
    this.#log = log;
    this.#malformed = new LogThrottle({ log, intervalMs: MALFORMED_INTERVAL_MS });
    const onError = (error: Error): void => {
      this.#fault = error;
      // With Sentinels a first connect does not fail, but goes on asking them.
      this.#announceTried();
    };
    this.#subscriber = createRedisClient(url, { name: 'subscriber', onError });
    this.#publisher = createRedisClient(url, { name: 'publisher', onError });
    this.#subscriber.on('ready', () => void this.#resubscribe());
    this.#subscriber.on('close', this.#onSubscriberClose);
    this.#subscriber.on('messageBuffer', this.#onMessage);
    this.#subscriber.on('pmessageBuffer', this.#onPatternMessage);
    this.#publisher.on('ready', this.#judgeLink);
    this.#publisher.on('close', this.#judgeLink);
  }

  get link(): BrokerLink {
    return this.#link;
  }

  async open(listener: BrokerListener): Promise<void> {
    this.#listener = listener;
    const tried = new Promise<void>((resolve) => {
      this.#announceTried = resolve;
    });
    for (const client of [this.#subscriber, this.#publisher]) {
      client.connect().catch((error: unknown) => {
        this.#fault = error;
        this.#judgeLink();
        this.#announceTried();
      });
    }
    this.#prober = setInterval(this.#probe, PROBE_MS);
    await tried;
    if (this.#link !== 'live') this.#lose();
  }

  subscribe(topic: string): Promise<void> {
    this.#wanted.add(topic);
    this.#change(topic);
    if (this.#link !== 'live' && this.#confirming === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#joining.push(resolve));
  }

  unsubscribe(topic: string): void {
    this.#wanted.delete(topic);
    this.#change(topic);
  }

  publish(topic: string, publication: Publication): Promise<void> {
    const whole = carried(publication);
    return this.#hand(topic, envelopeText(whole), whole.kept);
  }

  async kept(topic: string): Promise<KeptPublication | undefined> {
    if (this.#link !== 'live') throw new RefusalError('broker_lost');
    try {
      const name = this.#keptName(topic);
      const [message, ttlMs] = await Promise.all([
        this.#publisher.getBuffer(name),
        this.#publisher.pttl(name),
      ]);
      // Redis answers this behind whatever was published before it answered that.
      await anyAnswer(this.#subscriber.ping());
      const publication = message === null ? undefined : this.#parseEnvelope(topic, message);
      return publication === undefined || ttlMs <= 0 ? undefined : { publication, ttlMs };
    } catch (error) {
      this.#fault = error;
      throw new RefusalError('broker_lost');
    }
  }

  broadcast(message: ControlMessage): Promise<void> {
    return this.#hand(CONTROL_TOPIC, controlText(message));
  }

  /** Redis passes a publication on before it answers its publisher, and answers a connection in order. */
  async settle(): Promise<void> {
    if (this.#link === 'live') await this.#expectAnswer(this.#subscriber, anyAnswer(this.#subscriber.ping()));
  }

  async close(): Promise<void> {
    this.#become('closed');
    clearInterval(this.#prober);
    await quitRedis(this.#subscriber, this.#publisher);
  }

  #keptName(topic: string): string {
    return this.#prefix + KEPT + topic;
  }

  async #hand(topic: string, text: string, keep = false): Promise<void> {
    if (this.#link !== 'live') throw new RefusalError('broker_lost');
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + text.length > IN_FLIGHT_MAX_BYTES) {
      throw new RefusalError('broker_busy');
    }
    this.#inFlightBytes += text.length;
    try {
      const name = this.#prefix + topic;
      if (keep) {
        const both = this.#publisher.multi().set(this.#keptName(topic), text, 'PX', KEPT_MS);
        await both.publish(name, text).exec();
      } else await this.#publisher.publish(name, text);
    } catch (error) {
      this.#fault = error;
      throw new RefusalError('broker_lost');
    } finally {
      this.#inFlightBytes -= text.length;
    }
  }

  // The link

  readonly #onSubscriberClose = (): void => {
    this.#subscribed = false;
    this.#asked.clear();
    this.#judgeLink();
  };

  /** The link is live when both connections are, and Redis knows of every topic that is wanted. */
  readonly #judgeLink = (): void => {
    if (this.#link === 'closed') return;
    if (this.#subscribed && this.#publisher.status === 'ready') {
      if (this.#link !== 'live' && this.#confirming === undefined) void this.#confirm();
      return;
    }
    this.#confirming = undefined;
    if (this.#link === 'live') this.#lose();
    else this.#letJoinersGo();
  };

  /**
   * Topics may have come since the connection was told of all; Redis answers a PING behind them. Who subscribes meanwhile
   * waits for an answer, as on a link that is live.
   */
  async #confirm(): Promise<void> {
    const confirming = Symbol();
    this.#confirming = confirming;
    void this.#flush();
    const isAnswered = await this.#expectAnswer(this.#subscriber, anyAnswer(this.#subscriber.ping()));
    if (this.#confirming !== confirming) return;
    this.#confirming = undefined;
    if (isAnswered) this.#become('live');
  }

  #lose(): void {
    this.#lostAt = performance.now();
    this.#become('lost');
    this.#letJoinersGo();
  }

  #become(state: BrokerLink): void {
    if (this.#link === state || this.#link === 'closed') return;
    if (state === 'lost')
      this.#log.warn(
        { event: 'redis_link_lost', reason: redisFault(this.#fault) },
        'the link to Redis is lost',
      );
    if (state === 'live' && this.#link === 'lost') {
      this.#log.info(
        { event: 'redis_link_restored', outageMs: Math.round(performance.now() - this.#lostAt) },
        'the link to Redis is back',
      );
    }
    this.#link = state;
    if (state === 'live') this.#fault = undefined;
    this.#listener?.linkChanged(state);
    this.#announceTried();
  }

  /** A connection can be dead without a word: ask for one. */
  readonly #probe = (): void => {
    for (const client of [this.#subscriber, this.#publisher]) {
      if (client.status === 'ready') void this.#expectAnswer(client, anyAnswer(client.ping()));
    }
  };

  /**
   * Ends a connection on which a command was not answered, or a subscription refused: who does not hear what is wanted must
   * not pass for live, and a new connection asks for all again.
   */
  async #expectAnswer(client: Redis, command: Promise<unknown>): Promise<boolean> {
    try {
      await command;
      return true;
    } catch (error) {
      this.#fault = error;
      if (this.#link !== 'closed') distrust(client);
      return false;
    }
  }

  // Subscriptions

  /** Tells a new connection of everything that is wanted. */
  async #resubscribe(): Promise<void> {
    this.#asked.clear();
    const { stream } = this.#subscriber;
    const asking = this.#askForAll();
    await asking.catch((error: unknown) => this.#bearRefusal(error));
    // Another connection was made meanwhile, and has asked by itself.
    if (this.#subscriber.stream !== stream) return;
    this.#subscribed = await this.#expectAnswer(this.#subscriber, asking);
    this.#judgeLink();
  }

  /** Connected, and not allowed to subscribe: a new connection at once would meet the same. */
  async #bearRefusal(error: unknown): Promise<void> {
    if (!isRedisReply(error)) return;
    this.#fault = error;
    this.#announceTried();
    await pause(REFUSED_PAUSE_MS, undefined, { ref: false });
  }

  /** One command after another: of very many that are sent at once the last are answered too late. */
  async #askForAll(): Promise<void> {
    const channel = this.#prefix + BACKPUSH;
    await this.#subscriber.subscribe(channel, this.#prefix + CONTROL_TOPIC);
    await this.#subscriber.psubscribe(`${escapePattern(channel)}:*`);
    const topics = [...this.#wanted];
    for (let at = 0; at < topics.length; at += TOPICS_PER_COMMAND) {
      const some = topics.slice(at, at + TOPICS_PER_COMMAND);
      await Promise.all(this.#askFor(some.filter((topic) => this.#wanted.has(topic))));
    }
  }

  #askFor(topics: readonly string[]): Promise<unknown>[] {
    const commands: Promise<unknown>[] = [];
    for (let at = 0; at < topics.length; at += TOPICS_PER_COMMAND) {
      const some = topics.slice(at, at + TOPICS_PER_COMMAND);
      for (const topic of some) this.#asked.add(topic);
      commands.push(this.#subscriber.subscribe(...some.map((topic) => this.#prefix + topic)));
    }
    return commands;
  }

  #giveUp(topics: readonly string[]): Promise<unknown>[] {
    const commands: Promise<unknown>[] = [];
    for (let at = 0; at < topics.length; at += TOPICS_PER_COMMAND) {
      const some = topics.slice(at, at + TOPICS_PER_COMMAND);
      for (const topic of some) this.#asked.delete(topic);
      commands.push(this.#subscriber.unsubscribe(...some.map((topic) => this.#prefix + topic)));
    }
    return commands;
  }

  #change(topic: string): void {
    this.#changed.add(topic);
    if (this.#flushRequested) return;
    this.#flushRequested = true;
    setImmediate(() => void this.#flush());
  }

  /** Brings what Redis was asked for in line with what is wanted, once per turn. */
  async #flush(): Promise<void> {
    this.#flushRequested = false;
    const changed = [...this.#changed];
    this.#changed.clear();
    // Without a connection there is nothing to do: the next one is told everything.
    if (this.#subscriber.status !== 'ready') return this.#letJoinersGo();
    const joining = this.#joining;
    this.#joining = [];
    const added = changed.filter((topic) => this.#wanted.has(topic) && !this.#asked.has(topic));
    const removed = changed.filter((topic) => !this.#wanted.has(topic) && this.#asked.has(topic));
    // Redis answers in order: an answer to the last command is one to those of earlier turns too.
    const commands = [...this.#giveUp(removed), ...this.#askFor(added)];
    if (commands.length === 0 && joining.length > 0) commands.push(anyAnswer(this.#subscriber.ping()));
    await this.#expectAnswer(this.#subscriber, Promise.all(commands));
    for (const resolve of joining) resolve();
  }

  #letJoinersGo(): void {
    const joining = this.#joining;
    this.#joining = [];
    for (const resolve of joining) resolve();
  }

  // Arrivals

  readonly #onMessage = (name: Buffer, message: Buffer): void => {
    const topic = name.toString('utf8').slice(this.#prefix.length);
    if (topic === BACKPUSH) this.#takeBackpush(undefined, message);
    else if (topic === CONTROL_TOPIC) this.#takeControl(message);
    else if (this.#wanted.has(topic)) this.#takeEnvelope(topic, message);
  };

  readonly #onPatternMessage = (_pattern: Buffer, name: Buffer, message: Buffer): void => {
    const appKey = name.toString('utf8').slice(this.#prefix.length + BACKPUSH.length + 1);
    this.#takeBackpush(appKey, message);
  };

  #takeEnvelope(topic: string, message: Buffer): void {
    const publication = this.#parseEnvelope(topic, message);
    if (publication !== undefined) this.#listener?.deliver(topic, publication);
    else this.#countMalformed(topic);
  }

  /** A publication that is of the topic on which it came. */
  #parseEnvelope(topic: string, message: Buffer): Publication | undefined {
    const publication = this.#isText(message) ? parseEnvelope(message.toString('utf8')) : undefined;
    const channel = topic.slice(topic.indexOf('@') + 1);
    return publication?.channel === channel ? publication : undefined;
  }

  #takeBackpush(appKey: string | undefined, message: Buffer): void {
    const pushed = this.#isText(message) ? parseBackpush(message.toString('utf8'), appKey) : undefined;
    if (pushed === undefined || !isAppKey(pushed.appKey)) {
      this.#countMalformed(BACKPUSH);
      return;
    }
    const topic = topicOf(pushed.appKey, pushed.publication.channel);
    if (this.#wanted.has(topic)) this.#listener?.deliver(topic, pushed.publication);
  }

  #takeControl(message: Buffer): void {
    const control = this.#isText(message) ? parseControl(message.toString('utf8')) : undefined;
    if (control === undefined) this.#countMalformed(CONTROL_TOPIC);
    else this.#listener?.control(control);
  }

  #isText(message: Buffer): boolean {
    return message.length <= this.#maxBytes + ENVELOPE_ROOM_BYTES && isUtf8(message);
  }

  #countMalformed(topic: string): void {
    this.#stats.publicationsMalformed += 1;
    this.#malformed.write('', {
      level: 'warn',
      facts: { event: 'redis_message_malformed', topic, soFar: this.#stats.publicationsMalformed },
      message: 'malformed message from Redis was dropped',
    });
  }
}

/** A no to a PING is an answer: one whose disk is full says MISCONF to it, and publishes as ever. */
async function anyAnswer(ping: Promise<unknown>): Promise<void> {
  await ping.catch((error: unknown) => {
    if (!isRedisReply(error)) throw error;
  });
}
