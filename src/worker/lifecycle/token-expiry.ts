import { ERRORS } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import type { Connection } from '../connection/connection.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import { frameText } from '../websocket/frame.ts';

const TICK_MS = 1_000;

/**
 * Ends connections whose token has expired: at that moment they are told, and a grace later those that have not
 * presented a new one are closed. One timer for all; each connection waits in the second in which it is due, so a
 * tick costs only those that are.
 */
export class TokenExpiry {
  readonly #sendQueue: Pick<SendQueue, 'enqueue' | 'close'>;
  readonly #graceMs: number;
  readonly #now: () => number;
  readonly #unexpected: UnexpectedErrors;
  /** By the second in which something is to be done. */
  readonly #due = new Map<number, Set<Connection>>();
  #second: number;
  readonly #timer: NodeJS.Timeout;

  /** `now` is in ms since 1970, the clock of tokens. */
  constructor(options: {
    sendQueue: Pick<SendQueue, 'enqueue' | 'close'>;
    graceMs: number;
    unexpected: UnexpectedErrors;
    now: () => number;
  }) {
    this.#sendQueue = options.sendQueue;
    this.#graceMs = options.graceMs;
    this.#now = options.now;
    this.#unexpected = options.unexpected;
    this.#second = Math.floor(options.now() / 1_000);
    this.#timer = setInterval(this.tick, TICK_MS);
  }

  /** Watches a connection from now on, or under its new `expiresAt`. */
  track(connection: Connection): void {
    this.untrack(connection);
    if (connection.expiresAt !== undefined) this.#schedule(connection, connection.expiresAt);
  }

  /** Lets go of a connection. */
  untrack(connection: Connection): void {
    if (connection.expiryCheckAt === undefined) return;
    const connections = this.#due.get(connection.expiryCheckAt);
    connections?.delete(connection);
    if (connections?.size === 0) this.#due.delete(connection.expiryCheckAt);
    connection.expiryCheckAt = undefined;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Does what is due by now. */
  readonly tick = (): void => {
    const first = this.#second + 1;
    this.#second = Math.floor(this.#now() / 1_000);
    for (const second of this.#secondsSince(first)) {
      for (const connection of [...(this.#due.get(second) ?? [])]) {
        this.#unexpected.run('token_expiry', () => this.#check(connection));
      }
    }
  };

  /** The clock may have been set forward by years: then what is due is looked through, not the seconds. */
  #secondsSince(first: number): number[] {
    const count = Math.max(0, this.#second - first + 1);
    if (count > this.#due.size) return [...this.#due.keys()].filter((second) => second <= this.#second);
    return Array.from({ length: count }, (_, n) => first + n);
  }

  #check(connection: Connection): void {
    this.untrack(connection);
    const { expiresAt = Number.POSITIVE_INFINITY } = connection;
    const closesAt = expiresAt + this.#graceMs;
    if (this.#now() < expiresAt) this.#schedule(connection, expiresAt);
    else if (this.#now() >= closesAt) this.#sendQueue.close(connection, ERRORS.token_expired);
    else this.#warn(connection, closesAt);
  }

  #warn(connection: Connection, closesAt: number): void {
    const text = connection.protocol.encodeExpiry?.(this.#graceMs);
    if (text !== undefined) this.#sendQueue.enqueue(connection, frameText(text));
    this.#schedule(connection, closesAt);
  }

  #schedule(connection: Connection, at: number): void {
    const second = Math.max(Math.ceil(at / 1_000), this.#second + 1);
    const connections = this.#due.get(second);
    if (connections === undefined) this.#due.set(second, new Set([connection]));
    else connections.add(connection);
    connection.expiryCheckAt = second;
  }
}
