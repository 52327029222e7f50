import { isUtf8 } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { GusherError } from '../../shared/errors/catalogue.ts';
import type { BrokerStatus } from '../../shared/ipc/messages.ts';
import type { Logger } from '../../shared/log.ts';
import { LogThrottle } from '../../shared/logging/log-throttle.ts';
import {
  CONTROL_TOPIC,
  type ControlMessage,
  encodeControlMessage,
  parseControlMessage,
} from '../../shared/model/control-message.ts';
import { envelopeText, parseEnvelope } from '../../shared/model/envelope.ts';
import { isAppKey, topicOf } from '../../shared/model/names.ts';
import {
  CACHE_TTL_MS,
  type CachedPublication,
  type Publication,
  withCacheFlag,
} from '../../shared/model/publication.ts';
import { envelopeMaxBytes, isDeliverable } from '../../shared/model/publication-size.ts';
import {
  createRedisClient,
  dropConnection,
  escapePattern,
  leaveOtherServers,
  quitRedis,
  type Redis,
  serverIdentityOf,
} from '../../shared/redis/client.ts';
import {
  describeRedisError,
  isReplyError,
  isStreamClosedError,
  redisReply,
  replyErrorCode,
  WrongServerError,
} from '../../shared/redis/errors.ts';
import { readServerRole, type ServerIdentity } from '../../shared/redis/server-identity.ts';
import type { Stats } from '../../shared/stats.ts';
import { parseBackpush } from './backpush.ts';
import type { Broker, BrokerHealth, BrokerListener } from './broker.ts';
import { RedisEcho } from './redis-echo.ts';
import { RedisHealth } from './redis-health.ts';
import { pinged, RedisSubscriptions } from './redis-subscriptions.ts';

/** What Redis allows a subscriber to have unsent unless it is configured otherwise (redis.conf). */
const OUTPUT_BUFFER_MAX_BYTES = 32 * 1024 * 1024;
/** What Redis keeps there beside the message. */
const OUTPUT_BUFFER_ROOM_BYTES = 64 * 1024;
const IN_FLIGHT_MAX_BYTES = 64 * 1024 * 1024;
/** How often the role of the server is read: what a demoted master takes in between does not reach other hosts. */
const WATCH_MS = 500;
/** A watch later than this was not on time itself: what was not answered proves nothing. */
const LATE_WATCH_MS = 3 * WATCH_MS;
const MEASURE_EVERY_WATCHES = 2;
/** A connection on which nothing is answered for so long is ended. Longer than a command may take: Redis may pause. */
const SILENT_MS = 4_000;
const ERROR_PAUSE_MS = 1_000;
/** A publisher that sends something wrong goes on doing so. */
const MALFORMED_INTERVAL_MS = 10_000;
const REPLY_LOG_INTERVAL_MS = 60_000;
const REASON_LOG_INTERVAL_MS = 10_000;

const BACKPUSH = 'gusher:backpush';
/** Before the topic: the key of what a cache channel keeps. No app key has a colon. */
const CACHE_KEY_PREFIX = 'gusher:last:';
/** Before a random id: the channel on which a worker receives its own messages. */
const ECHO = 'gusher:echo:';
const HEALTH_KEY = 'gusher:health';

const REPLICA = 'Redis is a replica, which takes no writes';
const OTHER_SERVER = 'connections lead to different Redis servers';

export interface RedisBrokerOptions {
  readonly url: string;
  readonly prefix: string;
  /** Largest publication that is taken: see `publicationMaxBytes`. */
  readonly maxBytes: number;
  readonly stats: Stats;
  readonly log: Logger;
}

/** One of the two connections, and what is known of the server that it leads to. */
interface Link {
  readonly client: Redis;
  /** `undefined` until the server has said who it is, and while it is a replica. */
  server: ServerIdentity | undefined;
  silentSince: number | undefined;
}

/**
 * Redis pub/sub: one connection to publish, one to subscribe; each topic is a Redis channel `{prefix}{topic}`
 * that carries envelopes. What comes from Redis is hostile until parsed.
 *
 * The link is live while both connections lead to one master and the subscriber connection has every topic that is
 * wanted. An error reply of Redis concerns the command alone: the link stays live. A publication is acknowledged when
 * this worker's own subscriber connection has delivered everything up to it; if Redis did not answer, or that connection
 * was lost, it is refused with `outcome_unknown`.
 */
export class RedisBroker implements Broker {
  readonly #url: string;
  readonly #prefix: string;
  readonly #maxBytes: number;
  readonly #stats: Stats;
  readonly #log: Logger;
  readonly #subscriber: Redis;
  readonly #publisher: Redis;
  readonly #links: { readonly subscriber: Link; readonly publisher: Link };
  readonly #subscriptions: RedisSubscriptions;
  readonly #echoTopic = ECHO + randomBytes(15).toString('base64url');
  readonly #echo: RedisEcho;
  readonly #health: RedisHealth;
  #listener: BrokerListener | undefined;
  #status: BrokerStatus = 'connecting';
  #disconnectedAt = performance.now();
  #lastError: unknown;

  /** The subscriber connection was asked for everything that was wanted when it was made. */
  #subscribed = false;
  /** Both connections are up, and Redis is asked whether it knows of all that is wanted by now. */
  #confirming: symbol | undefined;

  /** Largest message that Redis passes on: beyond it it ends the subscriber, after it has answered the publisher. */
  #passedMaxBytes = OUTPUT_BUFFER_MAX_BYTES - OUTPUT_BUFFER_ROOM_BYTES;
  #inFlightBytes = 0;
  readonly #malformed: LogThrottle;
  readonly #replies: LogThrottle;
  readonly #reasons: LogThrottle;
  #reason: string | undefined;
  #watcher: NodeJS.Timeout | undefined;
  #watchedAt = 0;
  #watches = 0;
  #isReadingRole = false;
  #reconnectedAt = Number.NEGATIVE_INFINITY;
  #onFirstAttempt: () => void = () => undefined;

  constructor({ url, prefix, maxBytes, stats, log }: RedisBrokerOptions) {
    this.#url = url;
    this.#prefix = prefix;
    this.#maxBytes = maxBytes;
    this.#stats = stats;
    this.#log = log;
    this.#malformed = new LogThrottle({ log, intervalMs: MALFORMED_INTERVAL_MS });
    this.#replies = new LogThrottle({ log, intervalMs: REPLY_LOG_INTERVAL_MS, keysMax: 100 });
    this.#reasons = new LogThrottle({ log, intervalMs: REASON_LOG_INTERVAL_MS, keysMax: 20 });
    const onError = (error: Error): void => {
      this.#setError(error);
      // With Sentinels a first connect does not fail, but goes on asking them.
      this.#onFirstAttempt();
    };
    this.#subscriber = createRedisClient(url, { name: 'subscriber', onError });
    this.#publisher = createRedisClient(url, { name: 'publisher', onError });
    this.#links = {
      subscriber: { client: this.#subscriber, server: undefined, silentSince: undefined },
      publisher: { client: this.#publisher, server: undefined, silentSince: undefined },
    };
    this.#subscriptions = new RedisSubscriptions({
      client: this.#subscriber,
      prefix,
      onRefused: this.#onSubscriptionRefused,
      onUnanswered: (error) => this.#distrust(this.#subscriber, error),
    });
    this.#echo = new RedisEcho({ publisher: this.#publisher, channel: prefix + this.#echoTopic });
    this.#health = new RedisHealth({
      publisher: this.#publisher,
      echo: this.#echo,
      key: prefix + HEALTH_KEY,
      onForbidden: (command, name, error) => this.#logReply(command, name, error),
    });
    this.#subscriber.on('ready', () => void this.#onSubscriberReady());
    this.#subscriber.on('close', this.#onSubscriberClose);
    this.#subscriber.on('messageBuffer', this.#onMessage);
    this.#subscriber.on('pmessageBuffer', this.#onPatternMessage);
    this.#publisher.on('ready', () => void this.#readOutputLimit());
    this.#publisher.on('ready', () => void this.#onPublisherReady());
    this.#publisher.on('close', this.#onPublisherClose);
  }

  get status(): BrokerStatus {
    return this.#status;
  }

  get server(): string | undefined {
    return this.#links.publisher.server?.runId ?? this.#links.subscriber.server?.runId;
  }

  get health(): BrokerHealth {
    if (this.#status !== 'connected') return { reason: describeRedisError(this.#lastError) };
    const { error, roundTripMs } = this.#health;
    return {
      ...(error !== undefined && { reason: describeRedisError(error) }),
      ...(roundTripMs !== undefined && { roundTripMs }),
    };
  }

  async open(listener: BrokerListener): Promise<void> {
    this.#listener = listener;
    const firstAttempt = new Promise<void>((resolve) => {
      this.#onFirstAttempt = resolve;
    });
    for (const client of [this.#subscriber, this.#publisher]) {
      client.connect().catch((error: unknown) => {
        // What went wrong before says more than that the connection is closed.
        this.#setError(this.#lastError ?? error);
        this.#updateStatus();
        this.#onFirstAttempt();
      });
    }
    this.#watchedAt = performance.now();
    this.#watcher = setInterval(this.#watch, WATCH_MS);
    await firstAttempt;
    if (this.#status !== 'connected') this.#disconnected();
  }

  subscribe(topic: string): Promise<void> {
    if (this.#status === 'connected' || this.#confirming !== undefined)
      return this.#subscriptions.addAndWait(topic);
    this.#subscriptions.add(topic);
    return Promise.resolve();
  }

  unsubscribe(topic: string): void {
    this.#subscriptions.delete(topic);
  }

  publish(topic: string, publication: Publication): Promise<void> {
    const whole = withCacheFlag(publication);
    return this.#send(topic, envelopeText(whole), whole.cached);
  }

  async cached(topic: string): Promise<CachedPublication | undefined> {
    if (this.#status !== 'connected') throw new GusherError('broker_unavailable');
    const name = this.#cacheKey(topic);
    try {
      const [message, ttlMs] = await Promise.all([
        this.#publisher.getBuffer(name),
        this.#publisher.pttl(name),
      ]);
      // Redis answers this behind whatever was published before it answered that.
      await pinged(this.#subscriber);
      const publication = message === null ? undefined : this.#parseEnvelope(topic, message);
      return publication === undefined || ttlMs <= 0 ? undefined : { publication, ttlMs };
    } catch (error) {
      if (!isReplyError(error)) throw new GusherError('broker_unavailable');
      this.#logReply('get', name, error);
      throw new GusherError('broker_refused');
    }
  }

  broadcast(message: ControlMessage): Promise<void> {
    return this.#send(CONTROL_TOPIC, encodeControlMessage(message));
  }

  /** Redis passes a publication on before it answers its publisher, and answers a connection in order. */
  async settle(): Promise<void> {
    if (this.#status === 'connected') await this.#expectReply(this.#subscriber, pinged(this.#subscriber));
  }

  follow(server: string): void {
    const { subscriber, publisher } = this.#links;
    const others = [subscriber.server, publisher.server].filter(
      (one) => one?.runId !== undefined && one.runId !== server,
    );
    if (others.length > 0) this.#reconnect(new WrongServerError(OTHER_SERVER));
  }

  async close(): Promise<void> {
    this.#setStatus('closed');
    clearInterval(this.#watcher);
    await quitRedis(this.#subscriber, this.#publisher);
  }

  #cacheKey(topic: string): string {
    return this.#prefix + CACHE_KEY_PREFIX + topic;
  }

  // Publishing

  async #send(topic: string, text: string, isCached = false): Promise<void> {
    if (this.#status !== 'connected') throw new GusherError('broker_unavailable');
    if (Buffer.byteLength(text) > this.#passedMaxBytes) throw new GusherError('publication_too_large');
    if (this.#inFlightBytes > 0 && this.#inFlightBytes + text.length > IN_FLIGHT_MAX_BYTES) {
      throw new GusherError('broker_busy');
    }
    this.#inFlightBytes += text.length;
    try {
      const name = this.#prefix + topic;
      const publishing = isCached ? this.#publishAndKeep(topic, text) : this.#publisher.publish(name, text);
      const confirming = this.#health.canEcho ? this.#echo.confirm() : undefined;
      await publishing.catch((error: unknown) => {
        throw new GusherError(this.#outcomeOf(error, name));
      });
      await this.#confirmArrival(confirming);
    } finally {
      this.#inFlightBytes -= text.length;
    }
  }

  async #publishAndKeep(topic: string, text: string): Promise<void> {
    const both = this.#publisher.multi().set(this.#cacheKey(topic), text, 'PX', CACHE_TTL_MS);
    const replies = await both.publish(this.#prefix + topic, text).exec();
    for (const [error] of replies ?? []) if (error !== null) throw error;
  }

  /** What a publication came to that Redis did not take, or did not say so. */
  #outcomeOf(error: unknown, name: string): 'broker_refused' | 'broker_unavailable' | 'outcome_unknown' {
    // It was never written to the connection.
    if (isStreamClosedError(error)) return 'broker_unavailable';
    if (!isReplyError(error)) return 'outcome_unknown';
    this.#logReply('publish', name, error);
    if (replyErrorCode(error) === 'READONLY') this.#leaveReplica();
    return 'broker_refused';
  }

  async #confirmArrival(confirming: Promise<void> | undefined): Promise<void> {
    try {
      if (confirming !== undefined) return await confirming;
    } catch (error) {
      if (!isReplyError(error)) throw new GusherError('outcome_unknown');
      if (replyErrorCode(error) === 'NOPERM') this.#forbidEcho('publish', error);
    }
    // Without an echo, as `settle` does: at the cost of one more round trip.
    const isAnswered = await pinged(this.#subscriber).then(
      () => true,
      () => false,
    );
    if (!isAnswered) throw new GusherError('outcome_unknown');
  }

  #forbidEcho(command: string, error: Error): void {
    this.#health.forbidEcho(command, this.#prefix + this.#echoTopic, error);
  }

  // The link

  async #onPublisherReady(): Promise<void> {
    if (!(await this.#identify(this.#links.publisher))) return;
    this.#health.reset();
    this.#updateStatus();
  }

  readonly #onPublisherClose = (): void => {
    this.#forgetServer(this.#links.publisher);
    this.#updateStatus();
  };

  async #onSubscriberReady(): Promise<void> {
    if (await this.#identify(this.#links.subscriber)) await this.#resubscribe();
  }

  readonly #onSubscriberClose = (): void => {
    this.#forgetServer(this.#links.subscriber);
    this.#subscribed = false;
    this.#subscriptions.reset();
    this.#echo.close(new Error('Connection is closed.'));
    this.#updateStatus();
  };

  #forgetServer(link: Link): void {
    link.server = undefined;
    link.silentSince = undefined;
  }

  /** Asks a new connection where it leads. False: not to a master, or it is closed by now. */
  async #identify(link: Link): Promise<boolean> {
    const { stream } = link.client;
    const server = await serverIdentityOf(link.client);
    if (link.client.stream !== stream || link.client.status !== 'ready') return false;
    if (server.role === 'replica') {
      this.#setError(new WrongServerError(REPLICA));
      this.#onFirstAttempt();
      // The address may lead to the master soon; a new connection at once would meet the same.
      await pause(ERROR_PAUSE_MS, undefined, { ref: false });
      if (link.client.stream === stream && this.#status !== 'closed') dropConnection(link.client);
      return false;
    }
    if (server.role === undefined || server.runId === undefined) this.#logNoIdentity(server);
    link.server = server;
    return true;
  }

  /** The link is live when both connections lead to one master, and Redis knows of every topic that is wanted. */
  readonly #updateStatus = (): void => {
    if (this.#status === 'closed') return;
    const { subscriber, publisher } = this.#links;
    if (this.#subscribed && publisher.server !== undefined) {
      if (!isSame(subscriber.server?.runId, publisher.server.runId)) {
        this.#reconnect(new WrongServerError(OTHER_SERVER));
      } else if (this.#status !== 'connected' && this.#confirming === undefined) void this.#confirm();
      return;
    }
    this.#confirming = undefined;
    if (this.#status === 'connected') this.#disconnected();
    else this.#subscriptions.release();
  };

  /**
   * Topics may have come since the connection was asked for all; Redis answers a PING behind them. Subscriptions that are
   * made meanwhile wait for an answer, as on a link that is live.
   */
  async #confirm(): Promise<void> {
    const confirming = Symbol();
    this.#confirming = confirming;
    void this.#subscriptions.flush();
    const isAnswered = await this.#expectReply(this.#subscriber, pinged(this.#subscriber));
    if (isAnswered) await this.#health.measure();
    if (this.#confirming !== confirming) return;
    this.#confirming = undefined;
    if (!isAnswered) return;
    const { error } = this.#health;
    // Redis may refuse to publish and still deliver what others publish; silence is neither.
    if (error === undefined || isReplyError(error)) this.#setStatus('connected');
    else this.#reconnect(error);
  }

  #disconnected(): void {
    this.#disconnectedAt = performance.now();
    this.#setStatus('disconnected');
    this.#subscriptions.release();
  }

  #setStatus(state: BrokerStatus): void {
    if (this.#status === state || this.#status === 'closed') return;
    this.#status = state;
    if (state === 'disconnected') this.#logReason({ isThrottled: false });
    if (state === 'connected') {
      if (this.#reason !== undefined) {
        const outageMs = Math.round(performance.now() - this.#disconnectedAt);
        this.#log.info({ event: 'redis_connection_restored', outageMs }, 'Redis connection restored');
      }
      this.#reason = undefined;
      this.#lastError = undefined;
      const { server } = this;
      if (server !== undefined) leaveOtherServers(this.#url, server);
    }
    this.#listener?.statusChanged(state);
    this.#onFirstAttempt();
  }

  /** Notes why the link is lost, or about to be; while it is lost a new reason is logged too. */
  #setError(error: unknown): void {
    this.#lastError = error;
    if (this.#status === 'disconnected') this.#logReason({ isThrottled: true });
  }

  #logReason({ isThrottled }: { isThrottled: boolean }): void {
    const reason = describeRedisError(this.#lastError);
    if (reason === this.#reason) return;
    this.#reason = reason;
    const reply = redisReply(this.#lastError);
    const facts = { event: 'redis_connection_lost', reason, ...(reply !== undefined && { reply }) };
    const message = 'link to Redis lost';
    if (isThrottled) this.#reasons.write(reason, { level: 'warn', facts, message });
    else this.#log.warn(facts, message);
  }

  /** Logs an error reply to a command, once a minute for each command and kind of reply. */
  #logReply(command: string, name: string, error: Error): void {
    this.#replies.write(`${command} ${replyErrorCode(error)}`, {
      level: 'warn',
      facts: { event: 'redis_command_refused', command, name, reply: redisReply(error) },
      message: 'Redis refused a command',
    });
  }

  #logNoIdentity({ role, runId }: ServerIdentity): void {
    const unknown = [role === undefined && 'role', runId === undefined && 'run_id'].filter(Boolean);
    this.#replies.write('identity', {
      level: 'warn',
      facts: { event: 'redis_identity_unknown', unknown },
      message: 'the ACL of Redis forbids ROLE and INFO: a replica is noticed by refused writes only',
    });
  }

  /** Looks after both connections: whether they are answered on, and where they lead. */
  readonly #watch = (): void => {
    const now = performance.now();
    const isLate = now - this.#watchedAt > LATE_WATCH_MS;
    this.#watchedAt = now;
    this.#watches += 1;
    this.#echo.expire(now);
    for (const link of Object.values(this.#links)) this.#ping(link, now, isLate);
    void this.#readRole();
    if (this.#status === 'connected' && this.#watches % MEASURE_EVERY_WATCHES === 0) void this.#measure();
  };

  /** A connection can be dead without a sign: ask for one. */
  #ping(link: Link, now: number, isLate: boolean): void {
    if (link.client.status !== 'ready') return;
    if (isLate && link.silentSince !== undefined) link.silentSince = now;
    if (link.silentSince !== undefined && now - link.silentSince > SILENT_MS) {
      this.#distrust(link.client, new Error('Command timed out'));
      return;
    }
    link.silentSince ??= now;
    pinged(link.client).then(
      () => {
        link.silentSince = undefined;
      },
      () => undefined,
    );
  }

  async #readRole(): Promise<void> {
    const { server, client } = this.#links.publisher;
    if (this.#isReadingRole || server?.role === undefined) return;
    this.#isReadingRole = true;
    const role = await readServerRole(client);
    this.#isReadingRole = false;
    if (role === 'replica' && this.#links.publisher.server === server) this.#leaveReplica();
  }

  async #measure(): Promise<void> {
    const { client } = this.#links.publisher;
    const { stream } = client;
    await this.#health.measure();
    const { error } = this.#health;
    if (!isReplyError(error) || client.stream !== stream) return;
    if (replyErrorCode(error) === 'READONLY') this.#leaveReplica();
    else this.#logReply('set, publish', this.#prefix + HEALTH_KEY, error);
  }

  #leaveReplica(): void {
    this.#reconnect(new WrongServerError(REPLICA));
  }

  /** The address leads to another server by now, or will soon: both connections are made again, once a second at most. */
  #reconnect(reason: unknown): void {
    if (this.#status === 'closed') return;
    this.#setError(reason);
    this.#confirming = undefined;
    if (this.#status === 'connected') this.#disconnected();
    const now = performance.now();
    const waitMs = Math.max(0, this.#reconnectedAt + ERROR_PAUSE_MS - now);
    this.#reconnectedAt = now + waitMs;
    const streams = [this.#subscriber.stream, this.#publisher.stream];
    const reconnect = (): void => {
      for (const client of [this.#subscriber, this.#publisher]) {
        if (streams.includes(client.stream) && this.#status !== 'closed') dropConnection(client);
      }
    };
    if (waitMs === 0) reconnect();
    else setTimeout(reconnect, waitMs).unref();
  }

  #distrust(client: Redis, error: unknown): void {
    this.#setError(error);
    if (this.#status !== 'closed') dropConnection(client);
  }

  /** Ends a connection on which a command was not answered. */
  async #expectReply(client: Redis, command: Promise<unknown>): Promise<boolean> {
    try {
      await command;
      return true;
    } catch (error) {
      this.#distrust(client, error);
      return false;
    }
  }

  // Subscriptions

  readonly #onSubscriptionRefused = (topic: string, error: Error): void => {
    this.#logReply('subscribe', this.#prefix + topic, error);
    this.#listener?.refused(topic);
  };

  /** Asks a new connection for everything that is wanted. */
  async #resubscribe(): Promise<void> {
    const { stream } = this.#subscriber;
    const subscribing = this.#subscribeToOwn().then(() => this.#subscriptions.subscribeToAll());
    await subscribing.catch((error: unknown) => this.#backOff(error));
    // Another connection was made meanwhile, and has asked by itself.
    if (this.#subscriber.stream !== stream) return;
    this.#subscribed = await this.#expectReply(this.#subscriber, subscribing);
    this.#updateStatus();
  }

  /** Connected, and not allowed to subscribe: a new connection at once would meet the same. */
  async #backOff(error: unknown): Promise<void> {
    if (!isReplyError(error)) return;
    this.#setError(error);
    this.#logReply('subscribe', this.#prefix + CONTROL_TOPIC, error);
    this.#onFirstAttempt();
    await pause(ERROR_PAUSE_MS, undefined, { ref: false });
  }

  /**
   * Control messages end connections and take grants away: a worker that may not receive them must not serve. Without the
   * channels of v1.13, and without an echo, it can.
   */
  async #subscribeToOwn(): Promise<void> {
    const channel = this.#prefix + BACKPUSH;
    const pattern = `${escapePattern(channel)}:*`;
    await this.#subscriber.subscribe(this.#prefix + CONTROL_TOPIC);
    const unlessRefused = (command: string, name: string) => (error: unknown) => {
      if (!isReplyError(error)) throw error;
      this.#logReply(command, name, error);
    };
    await this.#subscriber.subscribe(channel).catch(unlessRefused('subscribe', channel));
    await this.#subscriber.psubscribe(pattern).catch(unlessRefused('psubscribe', pattern));
    await this.#subscriber.subscribe(this.#prefix + this.#echoTopic).then(
      () => this.#echo.open(),
      (error: unknown) => {
        if (!isReplyError(error)) throw error;
        this.#forbidEcho('subscribe', error);
      },
    );
  }

  /** Redis ends a subscriber that has more than this unsent: one message beyond it reaches none of them. */
  async #readOutputLimit(): Promise<void> {
    const reply: unknown = await this.#publisher
      .config('GET', 'client-output-buffer-limit')
      .catch(() => undefined);
    const text = Array.isArray(reply) ? String(reply[1]) : '';
    const hardBytes = Number(/pubsub (\d+)/.exec(text)?.[1] ?? OUTPUT_BUFFER_MAX_BYTES);
    this.#passedMaxBytes = hardBytes === 0 ? Number.POSITIVE_INFINITY : hardBytes - OUTPUT_BUFFER_ROOM_BYTES;
  }

  // Arrivals

  readonly #onMessage = (name: Buffer, message: Buffer): void => {
    const topic = name.toString('utf8').slice(this.#prefix.length);
    if (topic === this.#echoTopic) this.#echo.receive(message);
    else if (topic === BACKPUSH) this.#receiveBackpush(undefined, message);
    else if (topic === CONTROL_TOPIC) this.#receiveControl(message);
    else if (this.#subscriptions.has(topic)) this.#receiveEnvelope(topic, message);
  };

  readonly #onPatternMessage = (_pattern: Buffer, name: Buffer, message: Buffer): void => {
    const appKey = name.toString('utf8').slice(this.#prefix.length + BACKPUSH.length + 1);
    this.#receiveBackpush(appKey, message);
  };

  #receiveEnvelope(topic: string, message: Buffer): void {
    const publication = this.#parseEnvelope(topic, message);
    if (publication !== undefined) this.#listener?.deliver(topic, publication);
    else this.#countMalformed(topic);
  }

  /** A publication that is of the topic on which it came. */
  #parseEnvelope(topic: string, message: Buffer): Publication | undefined {
    const publication = this.#isText(message) ? parseEnvelope(message.toString('utf8')) : undefined;
    const channel = topic.slice(topic.indexOf('@') + 1);
    if (publication?.channel !== channel) return undefined;
    return isDeliverable(publication, this.#maxBytes) ? publication : undefined;
  }

  #receiveBackpush(appKey: string | undefined, message: Buffer): void {
    const pushed = this.#isText(message) ? parseBackpush(message.toString('utf8'), appKey) : undefined;
    const isSound = pushed !== undefined && isAppKey(pushed.appKey);
    if (!isSound || !isDeliverable(pushed.publication, this.#maxBytes)) {
      this.#countMalformed(BACKPUSH);
      return;
    }
    const topic = topicOf(pushed.appKey, pushed.publication.channel);
    if (this.#subscriptions.has(topic)) this.#listener?.deliver(topic, pushed.publication);
  }

  #receiveControl(message: Buffer): void {
    const control = this.#isText(message) ? parseControlMessage(message.toString('utf8')) : undefined;
    if (control === undefined) this.#countMalformed(CONTROL_TOPIC);
    else this.#listener?.control(control);
  }

  #isText(message: Buffer): boolean {
    return message.length <= envelopeMaxBytes(this.#maxBytes) && isUtf8(message);
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

/** Of a server that does not say who it is nothing is known. */
function isSame(one: string | undefined, other: string | undefined): boolean {
  return one === undefined || other === undefined || one === other;
}
