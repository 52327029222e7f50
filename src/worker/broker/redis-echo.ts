import type { Redis } from '../../shared/redis/client.ts';

/** How long an echo may take, in ms. */
const TIMEOUT_MS = 2_000;

interface Awaited {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  sentAt: number;
}

/**
 * Proves that publications reach this worker's own subscriber connection. Redis carries out the commands of a connection
 * in order, and fills the connection of a subscriber in that order too: if a message on the worker's own channel arrives,
 * whatever the worker published before it has arrived, for topics that it is subscribed to. One message proves
 * that for all publications of one turn of the event loop.
 */
export class RedisEcho {
  readonly #publisher: Redis;
  readonly #channel: string;
  /** Sent and not heard, oldest first. */
  readonly #awaited = new Map<number, Awaited>();
  #next: Awaited | undefined;
  #sequence = 0;
  #isOpen = false;

  constructor({ publisher, channel }: { publisher: Redis; channel: string }) {
    this.#publisher = publisher;
    this.#channel = channel;
  }

  /** The subscriber connection is subscribed to the channel. */
  open(): void {
    this.#isOpen = true;
  }

  /** The subscriber connection is lost, and with it what it did not deliver. */
  close(error: Error): void {
    this.#isOpen = false;
    for (const awaited of this.#awaited.values()) awaited.reject(error);
    this.#awaited.clear();
  }

  /**
   * Resolves when everything that was published before the call, and in the same turn, has arrived here. Rejects with
   * the reply of Redis if it refuses the message, and otherwise if that cannot be known.
   */
  confirm(): Promise<void> {
    if (this.#next === undefined) {
      this.#next = createAwaited();
      setImmediate(this.#send);
    }
    return this.#next.promise;
  }

  /** Handles a message on the channel. Attack: anyone who can publish there; only numbers that are awaited count. */
  receive(message: Buffer): void {
    const number = Number(message.toString('latin1'));
    if (!this.#awaited.has(number)) return;
    for (const [sent, { resolve }] of this.#awaited) {
      if (sent > number) return;
      this.#awaited.delete(sent);
      resolve();
    }
  }

  /** To be called at a steady pace: gives up what has not arrived in time. */
  expire(now: number): void {
    for (const [number, { sentAt, reject }] of this.#awaited) {
      if (now - sentAt < TIMEOUT_MS) return;
      this.#awaited.delete(number);
      reject(new Error('Echo timed out'));
    }
  }

  readonly #send = (): void => {
    const awaited = this.#next;
    this.#next = undefined;
    if (awaited === undefined) return;
    if (!this.#isOpen) {
      awaited.reject(new Error('Connection is closed.'));
      return;
    }
    this.#sequence += 1;
    const number = this.#sequence;
    awaited.sentAt = performance.now();
    this.#awaited.set(number, awaited);
    this.#publisher.publish(this.#channel, String(number)).catch((error: Error) => {
      this.#awaited.delete(number);
      awaited.reject(error);
    });
  };
}

function createAwaited(): Awaited {
  let resolve: () => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // A caller may have failed before it waits for this.
  promise.catch(() => undefined);
  return { promise, resolve, reject, sentAt: 0 };
}
