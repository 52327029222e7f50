import { randomBytes } from 'node:crypto';
import type { Redis } from '../../../shared/redis/client.ts';
import { isReplyError } from '../../../shared/redis/errors.ts';
import { Deferred } from '../../../shared/scheduling/deferred.ts';
import type { RedisLog } from './redis-log.ts';

const TIMEOUT_MS = 2_000;
/** Prefix of the topic on which a worker receives its own echoes, followed by a random id. */
const TOPIC_PREFIX = 'gusher:echo:';
/** Prefix of the topic to which every worker of a host is subscribed, followed by the id of the host. */
const HOST_TOPIC_PREFIX = `${TOPIC_PREFIX}host:`;
/** The topic to which every worker of every host is subscribed. Nothing is published on it. */
const WORKERS_TOPIC = `${TOPIC_PREFIX}workers`;

/** One echo message, which confirms all publications of one turn of the event loop. */
class Echo {
  /** Resolves with the number of subscribed workers of this host; `undefined` if it was not counted. */
  readonly confirmed = new Deferred<number | undefined>();
  sentAt = 0;
  isReceived = false;
  isCounting = false;
  #subscribers: number | undefined;

  constructor() {
    // A caller may have failed before it waits for the echo.
    this.confirmed.promise.catch(() => undefined);
  }

  receive(): void {
    this.isReceived = true;
    if (!this.isCounting) this.confirmed.resolve(this.#subscribers);
  }

  count(subscribers: number | undefined): void {
    this.isCounting = false;
    this.#subscribers = subscribers;
    if (this.isReceived) this.confirmed.resolve(subscribers);
  }
}

export interface RedisEchoOptions {
  readonly publisher: Redis;
  readonly prefix: string;
  readonly hostId: string;
  /** Returns the number of workers of this host that are connected to the broker. */
  readonly connectedWorkers: () => number;
  readonly log: Pick<RedisLog, 'commandRejected'>;
}

/**
 * Proves that publications reach this worker's own subscriber connection. Redis executes the commands of a connection in
 * order, and delivers to a subscriber in that order. A message on the worker's own topic therefore arrives after
 * everything that the worker published before, on the topics that it is subscribed to.
 *
 * With each echo it counts the subscribers of the topic of this host. If a worker is missing there, Redis has closed its
 * subscriber connection, and that worker has missed the publications.
 */
export class RedisEcho {
  /** The topic of this worker's echoes. */
  readonly topic = TOPIC_PREFIX + randomBytes(15).toString('base64url');
  /** The channels whose subscribers are counted. Subscribe to them last. */
  readonly countedChannels: readonly string[];
  readonly #options: RedisEchoOptions;
  readonly #hostChannel: string;
  readonly #workersChannel: string;
  /** Sent echoes by number, oldest first. */
  readonly #sent = new Map<number, Echo>();
  #next: Echo | undefined;
  #lastNumber = 0;
  #isSubscribed = false;
  #canCount = true;

  constructor(options: RedisEchoOptions) {
    this.#options = options;
    this.#hostChannel = options.prefix + HOST_TOPIC_PREFIX + options.hostId;
    this.#workersChannel = options.prefix + WORKERS_TOPIC;
    this.countedChannels = [this.#hostChannel, this.#workersChannel];
  }

  /** Call when the subscriber connection is subscribed to the topic. */
  open(): void {
    this.#isSubscribed = true;
  }

  /** Call when the subscriber connection is lost: it may have lost messages too. */
  close(error: Error): void {
    this.#isSubscribed = false;
    for (const { confirmed } of this.#sent.values()) confirmed.reject(error);
    this.#sent.clear();
  }

  /** Stops counting workers, because the ACL forbids it. */
  stopCounting(): void {
    this.#canCount = false;
  }

  /** Counts again, because the user of a new connection may have other rights. */
  reset(): void {
    this.#canCount = true;
  }

  /**
   * Resolves when everything that was published before this call, and in the same turn, has arrived here. The result is
   * the number of workers of this host to which Redis delivered it; `undefined` if that was not counted. Rejects with the
   * reply of Redis if it rejects the echo, and with another error if the delivery cannot be confirmed.
   */
  confirm(): Promise<number | undefined> {
    if (this.#next === undefined) {
      this.#next = new Echo();
      setImmediate(this.#send);
    }
    return this.#next.confirmed.promise;
  }

  /** Resolves with the number of connected workers of all hosts; `undefined` if it is not known. Never rejects. */
  async countWorkers(): Promise<number | undefined> {
    return this.#canCount ? this.#countSubscribers(this.#workersChannel).catch(() => undefined) : undefined;
  }

  /** Handles an echo. Attack: anyone may publish here, so only numbers of sent echoes count. */
  receive(message: Buffer): void {
    const received = Number(message.toString('latin1'));
    if (!this.#sent.has(received)) return;
    for (const [number, echo] of this.#sent) {
      if (number > received) return;
      this.#sent.delete(number);
      echo.receive();
    }
  }

  /** Rejects echoes that did not arrive in time. Call it at regular intervals. */
  expire(now: number): void {
    for (const [number, { sentAt, confirmed }] of this.#sent) {
      if (now - sentAt < TIMEOUT_MS) return;
      this.#sent.delete(number);
      confirmed.reject(new Error('Echo timed out'));
    }
  }

  readonly #send = (): void => {
    const echo = this.#next;
    this.#next = undefined;
    if (echo === undefined) return;
    if (!this.#isSubscribed) {
      echo.confirmed.reject(new Error('Connection is closed.'));
      return;
    }
    const { publisher, prefix, connectedWorkers } = this.#options;
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    echo.sentAt = performance.now();
    this.#sent.set(number, echo);
    publisher.publish(prefix + this.topic, String(number)).catch((error: Error) => {
      this.#sent.delete(number);
      echo.confirmed.reject(error);
    });
    // Behind the publications: a connection that Redis closes later has received them, or their loss is not detectable.
    if (!this.#canCount || connectedWorkers() <= 1) return;
    echo.isCounting = true;
    this.#countSubscribers(this.#hostChannel).then(
      (subscribers) => echo.count(subscribers),
      (error: Error) => echo.confirmed.reject(error),
    );
  };

  /** Resolves with `undefined` if the ACL forbids it. Rejects if Redis does not answer. */
  async #countSubscribers(channel: string): Promise<number | undefined> {
    try {
      const [, subscribers] = await this.#options.publisher.pubsub('NUMSUB', channel);
      return Number(subscribers);
    } catch (error) {
      if (!isReplyError(error)) throw error;
      this.stopCounting();
      this.#options.log.commandRejected('pubsub', channel, error);
      return undefined;
    }
  }
}
