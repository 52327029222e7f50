import { setTimeout as pause } from 'node:timers/promises';
import type { BrokerStatus } from '../../../shared/ipc/messages.ts';
import type { Stats } from '../../../shared/metrics/stats.ts';
import { CONTROL_TOPIC } from '../../../shared/model/control-message.ts';
import { dropConnection, escapePattern, leaveOtherServers, quitRedis } from '../../../shared/redis/client.ts';
import {
  isReplyError,
  REPLICA_MESSAGE,
  replyErrorCode,
  WrongServerError,
} from '../../../shared/redis/errors.ts';
import { IOREDIS_MESSAGES } from '../../../shared/redis/ioredis-messages.ts';
import { readServerRole } from '../../../shared/redis/server-identity.ts';
import { Deferred } from '../../../shared/scheduling/deferred.ts';
import { BACKPUSH_TOPIC } from '../backpush.ts';
import { RedisConnection, waitForPong } from './redis-connection.ts';
import { RedisEcho } from './redis-echo.ts';
import { RedisHealth } from './redis-health.ts';
import type { RedisLog } from './redis-log.ts';
import { RedisSubscriptions } from './redis-subscriptions.ts';

/** Interval of checks. Publications that a demoted master accepts between two checks do not reach other hosts. */
const CHECK_INTERVAL_MS = 500;
/** After a longer interval this process was late itself, and a missing answer proves nothing. */
const LATE_CHECK_MS = 3 * CHECK_INTERVAL_MS;
const CHECKS_PER_MEASUREMENT = 2;
/** Pause before a connection is made again that would meet the same error. */
const ERROR_PAUSE_MS = 1_000;

/**
 * Time in which the workers of all hosts reconnect after an outage of Redis. A host that publishes earlier than the
 * others subscribe would publish messages that they miss.
 */
const RECONNECT_TOGETHER_MS = 3_000;
const RECONNECT_POLL_MS = 50;

const OTHER_SERVER = 'the connections lead to different Redis servers';

export interface RedisLinkOptions {
  readonly url: string;
  readonly prefix: string;
  readonly hostId: string;
  /** Returns the number of workers of this host that are connected to the broker. */
  readonly connectedWorkers: () => number;
  readonly stats: Pick<Stats, 'brokerGaps'>;
  readonly log: RedisLog;
  readonly onStatus: (status: BrokerStatus) => void;
  /** Redis rejected the subscription to this topic. */
  readonly onRejected: (topic: string) => void;
}

/**
 * What the subscriber connection has, and whether the link may connect:
 * `unsubscribed` (no connection, or one that is not subscribed to every wanted topic) → `subscribed` (waits for the
 * publisher connection) → `confirming` (both connections lead to one master; Redis confirms that it has every topic) →
 * `confirmed`. A lost publisher connection leads back to `subscribed`, a lost subscriber connection to `unsubscribed`.
 * Each change creates a new object, so that an answer of Redis is compared with the state in which it was requested.
 */
interface Subscribing {
  readonly phase: 'unsubscribed' | 'subscribed' | 'confirming' | 'confirmed';
}

/**
 * The link to Redis: one connection to publish, one to subscribe. It is connected while both connections lead to one
 * master and the subscriber connection is subscribed to every wanted topic. An error reply concerns its command alone
 * and does not disconnect the link.
 */
export class RedisLink {
  readonly subscriber: RedisConnection;
  readonly publisher: RedisConnection;
  readonly subscriptions: RedisSubscriptions;
  readonly echo: RedisEcho;
  readonly health: RedisHealth;
  readonly #options: RedisLinkOptions;
  readonly #connections: readonly RedisConnection[];
  readonly #firstAttempt = new Deferred();
  #status: BrokerStatus = 'connecting';
  #lastError: unknown;
  #subscribing: Subscribing = { phase: 'unsubscribed' };
  #knownWorkers = 0;
  #checkTimer: NodeJS.Timeout | undefined;
  #checkedAt = 0;
  #checks = 0;
  #isReadingRole = false;
  #reconnectedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RedisLinkOptions) {
    const { url, prefix, hostId, connectedWorkers, log } = options;
    this.#options = options;
    const onError = (error: Error): void => {
      this.#setError(error);
      // With Sentinels a first connect does not fail: the client keeps asking them.
      this.#firstAttempt.resolve();
    };
    this.subscriber = new RedisConnection({ url, name: 'subscriber', onError });
    this.publisher = new RedisConnection({ url, name: 'publisher', onError });
    this.#connections = [this.subscriber, this.publisher];
    this.subscriptions = new RedisSubscriptions({
      client: this.subscriber.client,
      prefix,
      onRejected: this.#onSubscriptionRejected,
      onUnanswered: (error) => this.#drop(this.subscriber, error),
    });
    const publisher = this.publisher.client;
    this.echo = new RedisEcho({ publisher, prefix, hostId, connectedWorkers, log });
    this.health = new RedisHealth({ publisher, echo: this.echo, prefix, log });
    this.subscriber.client.on('ready', () => void this.#onSubscriberReady());
    this.subscriber.client.on('close', this.#onSubscriberClose);
    publisher.on('ready', () => void this.#onPublisherReady());
    publisher.on('close', this.#onPublisherClose);
  }

  get status(): BrokerStatus {
    return this.#status;
  }

  /** True while Redis confirms subscriptions: connected, or about to be. */
  get acceptsSubscriptions(): boolean {
    return this.#status === 'connected' || this.#subscribing.phase === 'confirming';
  }

  /** The error that disconnected the link, or keeps it disconnected. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Number of workers of all hosts that were connected at the last measurement; 0 if unknown. */
  get knownWorkers(): number {
    return this.#knownWorkers;
  }

  /** True while Redis does not answer on one of the connections. */
  get isStalled(): boolean {
    return this.#connections.some(({ isStalled }) => isStalled);
  }

  /** The `run_id` of the server. */
  get server(): string | undefined {
    return this.publisher.server?.runId ?? this.subscriber.server?.runId;
  }

  /** Connects. Resolves after the first attempt, even if it fails. */
  async open(): Promise<void> {
    for (const { client } of this.#connections) {
      client.connect().catch((error: unknown) => {
        // An error that came before explains more than "Connection is closed".
        this.#setError(this.#lastError ?? error);
        this.#updateStatus();
        this.#firstAttempt.resolve();
      });
    }
    this.#checkedAt = performance.now();
    this.#checkTimer = setInterval(this.#check, CHECK_INTERVAL_MS);
    await this.#firstAttempt.promise;
    if (this.#status !== 'connected') this.#disconnect();
  }

  /** Reconnects if one of the connections leads to another server than this one. */
  follow(server: string): void {
    const isOther = ({ server: current }: RedisConnection): boolean =>
      current?.runId !== undefined && current.runId !== server;
    if (this.#connections.some(isOther)) this.#reconnect(new WrongServerError(OTHER_SERVER));
  }

  /** Reconnects, because the server has become a replica. */
  readonly leaveReplica = (): void => this.#reconnect(new WrongServerError(REPLICA_MESSAGE));

  /** Resolves when Redis has answered on the subscriber connection; drops the connection if it does not. */
  async settle(): Promise<void> {
    await this.#expectReply(waitForPong(this.subscriber.client));
  }

  async close(): Promise<void> {
    this.#setStatus('closed');
    clearInterval(this.#checkTimer);
    await quitRedis(this.subscriber.client, this.publisher.client);
  }

  // Status

  /** Connects the link when both connections are ready, and disconnects it otherwise. */
  readonly #updateStatus = (): void => {
    if (this.#status === 'closed') return;
    const { server } = this.publisher;
    const { phase } = this.#subscribing;
    if (phase === 'unsubscribed' || server === undefined) {
      if (phase !== 'unsubscribed') this.#subscribing = { phase: 'subscribed' };
      if (this.#status === 'connected') this.#disconnect();
      else this.subscriptions.release();
    } else if (!isSameServer(this.subscriber.server?.runId, server.runId)) {
      this.#reconnect(new WrongServerError(OTHER_SERVER));
    } else if (phase === 'subscribed') void this.#confirm();
  };

  /**
   * Confirms that Redis has every wanted topic. Topics may have been added after the connection requested all of them;
   * Redis answers a PING behind those. Subscriptions made during the confirmation wait for an answer.
   */
  async #confirm(): Promise<void> {
    const confirming: Subscribing = { phase: 'confirming' };
    this.#subscribing = confirming;
    void this.subscriptions.flush();
    const isAnswered = await this.#expectReply(waitForPong(this.subscriber.client));
    if (isAnswered) await this.health.measure();
    if (isAnswered) await this.#waitForOtherWorkers(() => this.#subscribing === confirming);
    if (this.#subscribing !== confirming) return;
    const { error } = this.health;
    // A Redis that rejects publications may still deliver those of other hosts; a silent Redis does neither.
    if (isAnswered && (error === undefined || isReplyError(error))) {
      this.#subscribing = { phase: 'confirmed' };
      this.#setStatus('connected');
    } else {
      this.#subscribing = { phase: 'subscribed' };
      if (isAnswered) this.#reconnect(error);
    }
  }

  /** Waits until as many workers of all hosts are connected as before the outage, three seconds at most. */
  async #waitForOtherWorkers(isConfirming: () => boolean): Promise<void> {
    const until = performance.now() + RECONNECT_TOGETHER_MS;
    while (isConfirming() && performance.now() < until) {
      const workers = await this.echo.countWorkers();
      if (workers === undefined || workers >= this.#knownWorkers) return;
      await pause(RECONNECT_POLL_MS, undefined, { ref: false });
    }
  }

  #disconnect(): void {
    this.#setStatus('disconnected');
    this.subscriptions.release();
  }

  #setStatus(status: BrokerStatus): void {
    if (this.#status === status || this.#status === 'closed') return;
    this.#status = status;
    if (status === 'disconnected') this.#options.log.disconnected(this.#lastError);
    if (status === 'connected') {
      this.#options.log.connected(this.#options.stats.brokerGaps);
      this.#lastError = undefined;
      const { server } = this;
      if (server !== undefined) leaveOtherServers(this.#options.url, server);
    }
    this.#options.onStatus(status);
    this.#firstAttempt.resolve();
  }

  #setError(error: unknown): void {
    this.#lastError = error;
    if (this.#status === 'disconnected') this.#options.log.stillDisconnected(error);
  }

  // Connections

  async #onPublisherReady(): Promise<void> {
    if (!(await this.#acceptServer(this.publisher))) return;
    this.health.reset();
    this.#updateStatus();
  }

  readonly #onPublisherClose = (): void => {
    this.publisher.reset();
    this.#updateStatus();
  };

  async #onSubscriberReady(): Promise<void> {
    if (await this.#acceptServer(this.subscriber)) await this.#resubscribe();
  }

  readonly #onSubscriberClose = (): void => {
    this.subscriber.reset();
    const mayHaveMissed = this.#subscribing.phase !== 'unsubscribed' && this.#status !== 'closed';
    if (mayHaveMissed) this.#options.stats.brokerGaps += 1;
    this.#subscribing = { phase: 'unsubscribed' };
    this.subscriptions.reset();
    this.echo.close(new Error('Connection is closed.'));
    this.#updateStatus();
  };

  /** Identifies the server of a new connection. Returns false if it is a replica, or if the connection has closed. */
  async #acceptServer(connection: RedisConnection): Promise<boolean> {
    const { stream } = connection.client;
    const server = await connection.identify();
    if (server === undefined) return false;
    if (server.role === 'replica') {
      this.#setError(new WrongServerError(REPLICA_MESSAGE));
      this.#firstAttempt.resolve();
      // The address may lead to the master soon; an immediate reconnect would find the same replica.
      await pause(ERROR_PAUSE_MS, undefined, { ref: false });
      if (connection.client.stream === stream && this.#status !== 'closed') dropConnection(connection.client);
      return false;
    }
    if (server.role === undefined || server.runId === undefined) this.#options.log.identityUnknown(server);
    connection.server = server;
    return true;
  }

  /** Drops both connections, once a second at most: the address leads to another server now, or soon. */
  #reconnect(reason: unknown): void {
    if (this.#status === 'closed') return;
    this.#setError(reason);
    if (this.#subscribing.phase !== 'unsubscribed') this.#subscribing = { phase: 'subscribed' };
    if (this.#status === 'connected') this.#disconnect();
    const now = performance.now();
    const waitMs = Math.max(0, this.#reconnectedAt + ERROR_PAUSE_MS - now);
    this.#reconnectedAt = now + waitMs;
    const streams = this.#connections.map(({ client }) => client.stream);
    const dropBoth = (): void => {
      for (const { client } of this.#connections) {
        if (streams.includes(client.stream) && this.#status !== 'closed') dropConnection(client);
      }
    };
    if (waitMs === 0) dropBoth();
    else setTimeout(dropBoth, waitMs).unref();
  }

  #drop({ client }: RedisConnection, error: unknown): void {
    this.#setError(error);
    if (this.#status !== 'closed') dropConnection(client);
  }

  /** Waits for a reply on the subscriber connection; returns false and drops the connection if the command fails. */
  async #expectReply(command: Promise<unknown>): Promise<boolean> {
    try {
      await command;
      return true;
    } catch (error) {
      this.#drop(this.subscriber, error);
      return false;
    }
  }

  // Checks

  readonly #check = (): void => {
    const now = performance.now();
    const isLate = now - this.#checkedAt > LATE_CHECK_MS;
    this.#checkedAt = now;
    this.#checks += 1;
    this.echo.expire(now);
    for (const connection of this.#connections) {
      if (!connection.checkAlive(now, isLate)) setImmediate(this.#dropIfStalled, connection);
    }
    void this.#checkRole();
    if (this.#status === 'connected' && this.#checks % CHECKS_PER_MEASUREMENT === 0) void this.#measure();
  };

  /** Bytes that had arrived at the time of the check are read by now. */
  readonly #dropIfStalled = (connection: RedisConnection): void => {
    if (connection.isStalled) this.#drop(connection, new Error(IOREDIS_MESSAGES.commandTimedOut));
  };

  async #checkRole(): Promise<void> {
    const { server, client } = this.publisher;
    if (this.#isReadingRole || server?.role === undefined) return;
    this.#isReadingRole = true;
    const role = await readServerRole(client);
    this.#isReadingRole = false;
    if (role === 'replica' && this.publisher.server === server) this.leaveReplica();
  }

  async #measure(): Promise<void> {
    const { client } = this.publisher;
    const { stream } = client;
    const [workers] = await Promise.all([this.echo.countWorkers(), this.health.measure()]);
    if (workers !== undefined && this.#status === 'connected') this.#knownWorkers = workers;
    const { error } = this.health;
    if (replyErrorCode(error) === 'READONLY' && client.stream === stream) this.leaveReplica();
  }

  // Subscriptions

  readonly #onSubscriptionRejected = (topic: string, error: Error): void => {
    this.#options.log.commandRejected('subscribe', this.#options.prefix + topic, error);
    this.#options.onRejected(topic);
  };

  /** Subscribes a new connection to every wanted topic. */
  async #resubscribe(): Promise<void> {
    const { client } = this.subscriber;
    const { stream } = client;
    const subscribing = this.#subscribeToAll();
    await subscribing.catch((error: unknown) => this.#backOff(error));
    // A newer connection subscribes on its own.
    if (client.stream !== stream) return;
    const isSubscribed = await this.#expectReply(subscribing);
    this.#subscribing = { phase: isSubscribed ? 'subscribed' : 'unsubscribed' };
    this.#updateStatus();
  }

  /** Subscribes to the counted channels last: each of their subscribers is subscribed to all wanted topics. */
  async #subscribeToAll(): Promise<void> {
    this.echo.reset();
    await this.#subscribeToOwnTopics();
    await this.subscriptions.subscribeToAll();
    const channels = this.echo.countedChannels;
    await this.subscriber.client.subscribe(...channels).catch((error: unknown) => {
      if (!isReplyError(error)) throw error;
      this.echo.stopCounting();
      this.#options.log.commandRejected('subscribe', channels.join(' '), error);
    });
  }

  /** Pauses if Redis rejects the subscriptions: an immediate reconnect would meet the same error. */
  async #backOff(error: unknown): Promise<void> {
    if (!isReplyError(error)) return;
    this.#setError(error);
    this.#options.log.commandRejected('subscribe', this.#options.prefix + CONTROL_TOPIC, error);
    this.#firstAttempt.resolve();
    await pause(ERROR_PAUSE_MS, undefined, { ref: false });
  }

  /**
   * Subscribes to the topics of the worker itself. Control messages close connections and revoke grants, so a worker that
   * may not receive them must not serve. It can serve without backpush and without an echo.
   */
  async #subscribeToOwnTopics(): Promise<void> {
    const { client } = this.subscriber;
    const { prefix, log } = this.#options;
    const channel = prefix + BACKPUSH_TOPIC;
    const pattern = `${escapePattern(channel)}:*`;
    await client.subscribe(prefix + CONTROL_TOPIC);
    const logError = (command: string, name: string) => (error: unknown) => {
      if (!isReplyError(error)) throw error;
      log.commandRejected(command, name, error);
    };
    await client.subscribe(channel).catch(logError('subscribe', channel));
    await client.psubscribe(pattern).catch(logError('psubscribe', pattern));
    await client.subscribe(prefix + this.echo.topic).then(
      () => this.echo.open(),
      (error: unknown) => {
        if (!isReplyError(error)) throw error;
        this.health.disableEcho('subscribe', error);
      },
    );
  }
}

/** An unknown id, which an ACL may hide, matches any server. */
function isSameServer(one: string | undefined, other: string | undefined): boolean {
  return one === undefined || other === undefined || one === other;
}
