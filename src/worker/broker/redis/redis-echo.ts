import { randomBytes } from 'node:crypto';
import type { Redis } from '../../../shared/redis/client.ts';
import { Deferred } from '../../../shared/scheduling/deferred.ts';

const TIMEOUT_MS = 2_000;
/** Prefix of the topic on which a worker receives its own echoes, followed by a random id. */
const TOPIC_PREFIX = 'gusher:echo:';

/** One echo message, which confirms all publications of one turn of the event loop. */
class Echo {
  readonly delivered = new Deferred();
  sentAt = 0;

  constructor() {
    // A caller may have failed before it waits for the echo.
    this.delivered.promise.catch(() => undefined);
  }
}

/**
 * Proves that publications reach this worker's own subscriber connection. Redis executes the commands of a connection in
 * order, and delivers to a subscriber in that order. A message on the worker's own topic therefore arrives after
 * everything that the worker published before, on the topics that it is subscribed to.
 */
export class RedisEcho {
  /** The topic of this worker's echoes. */
  readonly topic = TOPIC_PREFIX + randomBytes(15).toString('base64url');
  readonly #publisher: Redis;
  readonly #channel: string;
  /** Sent echoes by number, oldest first. */
  readonly #sent = new Map<number, Echo>();
  #next: Echo | undefined;
  #lastNumber = 0;
  #isSubscribed = false;

  constructor({ publisher, prefix }: { publisher: Redis; prefix: string }) {
    this.#publisher = publisher;
    this.#channel = prefix + this.topic;
  }

  /** Call when the subscriber connection is subscribed to the topic. */
  open(): void {
    this.#isSubscribed = true;
  }

  /** Call when the subscriber connection is lost: it may have lost messages too. */
  close(error: Error): void {
    this.#isSubscribed = false;
    for (const { delivered } of this.#sent.values()) delivered.reject(error);
    this.#sent.clear();
  }

  /**
   * Resolves when everything that was published before this call, and in the same turn, has arrived here. Rejects with
   * the reply of Redis if it rejects the echo, and with another error if the delivery cannot be confirmed.
   */
  confirm(): Promise<void> {
    if (this.#next === undefined) {
      this.#next = new Echo();
      setImmediate(this.#send);
    }
    return this.#next.delivered.promise;
  }

  /** Handles an echo. Attack: anyone may publish here, so only numbers of sent echoes count. */
  receive(message: Buffer): void {
    const received = Number(message.toString('latin1'));
    if (!this.#sent.has(received)) return;
    for (const [number, { delivered }] of this.#sent) {
      if (number > received) return;
      this.#sent.delete(number);
      delivered.resolve();
    }
  }

  /** Rejects echoes that did not arrive in time. Call it at regular intervals. */
  expire(now: number): void {
    for (const [number, { sentAt, delivered }] of this.#sent) {
      if (now - sentAt < TIMEOUT_MS) return;
      this.#sent.delete(number);
      delivered.reject(new Error('Echo timed out'));
    }
  }

  readonly #send = (): void => {
    const echo = this.#next;
    this.#next = undefined;
    if (echo === undefined) return;
    if (!this.#isSubscribed) {
      echo.delivered.reject(new Error('Connection is closed.'));
      return;
    }
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    echo.sentAt = performance.now();
    this.#sent.set(number, echo);
    this.#publisher.publish(this.#channel, String(number)).catch((error: Error) => {
      this.#sent.delete(number);
      echo.delivered.reject(error);
    });
  };
}
