import { TimingWheel } from '../../../shared/scheduling/timing-wheel.ts';
import { TokenBucketQueue } from '../../../shared/scheduling/token-bucket-queue.ts';
import type { ClientSocket, PendingClientHandler } from '../../connection/client-socket.ts';

/** A client that waits, after its handshake, until it is admitted or rejected. */
export interface WaitingClient {
  readonly client: ClientSocket;
}

/**
 * Admits clients at a steady rate, in the order in which they connected. A client that connects alone does not wait.
 *
 * After the loss of a server, all of its clients reconnect at the same time. Each one causes calls to the auth endpoint
 * of its app. A client waits if its turn comes before pusher-js stops waiting. Rejected immediately, it would reconnect
 * a second later, again and again. All other clients are rejected after a random part of that time, so that they do not
 * reconnect together.
 */
export class AdmissionQueue<Waiting extends WaitingClient> implements PendingClientHandler {
  readonly #queue: TokenBucketQueue<Waiting>;
  /** Clients whose turn would come too late. */
  readonly #overflow: TimingWheel<Waiting>;
  /** The clients of both, while they wait. */
  readonly #waiting = new Map<ClientSocket, Waiting>();
  readonly #maxWaitMs: number;
  readonly #onOverflow: (waiting: Waiting) => void;

  /** `onAdmit` or `onOverflow` is called once for each client, unless its socket closes first. */
  constructor(options: {
    perSecond: number;
    maxWaitMs: number;
    onAdmit: (waiting: Waiting) => void;
    onOverflow: (waiting: Waiting) => void;
  }) {
    this.#maxWaitMs = options.maxWaitMs;
    this.#onOverflow = options.onOverflow;
    this.#queue = new TokenBucketQueue({
      perSecond: options.perSecond,
      maxWaitMs: options.maxWaitMs,
      onReady: (waiting) => this.#finish(waiting, options.onAdmit),
    });
    this.#overflow = new TimingWheel({ onExpire: (waiting) => this.#finish(waiting, options.onOverflow) });
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(waiting: Waiting): void {
    waiting.client.waitForAdmission(this);
    this.#waiting.set(waiting.client, waiting);
    if (!this.#queue.offer(waiting)) this.#overflow.add(waiting, Math.random() * this.#maxWaitMs);
  }

  /** Rejects every client that waits, as an overflow. */
  flush(): void {
    for (const waiting of this.#queue.clear()) this.#finish(waiting, this.#onOverflow);
    this.#overflow.flush();
  }

  pendingClientClosed(client: ClientSocket): void {
    const waiting = this.#waiting.get(client);
    if (waiting === undefined) return;
    this.#waiting.delete(client);
    this.#queue.remove(waiting);
    this.#overflow.cancel(waiting);
  }

  #finish(waiting: Waiting, callback: (waiting: Waiting) => void): void {
    this.#waiting.delete(waiting.client);
    callback(waiting);
  }
}
