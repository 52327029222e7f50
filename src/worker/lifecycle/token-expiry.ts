import { ERRORS } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import type { Connection } from '../connection/connection.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import { frameText } from '../websocket/frame.ts';

const TICK_MS = 1_000;

/**
 * Notifies connections when their token expires, and closes those that send no new token within the grace period. Uses
 * one timer for all. Connections are indexed by the second of their next check, so a tick costs only the due ones.
 */
export class TokenExpiry {
  readonly #sendQueue: Pick<SendQueue, 'enqueue' | 'close'>;
  readonly #graceMs: number;
  readonly #now: () => number;
  readonly #unexpected: UnexpectedErrors;
  /** By second: the connections to check. */
  readonly #due = new Map<number, Set<Connection>>();
  #second: number;
  readonly #timer: NodeJS.Timeout;

  /** `now` returns ms since 1970, the clock of tokens. */
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

  /** Tracks a connection, or applies its new `expiresAt`. */
  track(connection: Connection): void {
    this.untrack(connection);
    if (connection.expiresAt !== undefined) this.#schedule(connection, connection.expiresAt);
  }

  /** Stops tracking a connection. */
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

  /** Checks all due connections. */
  readonly tick = (): void => {
    const first = this.#second + 1;
    this.#second = Math.floor(this.#now() / 1_000);
    for (const second of this.#secondsSince(first)) {
      for (const connection of [...(this.#due.get(second) ?? [])]) {
        this.#unexpected.run('token_expiry', () => this.#check(connection));
      }
    }
  };

  /** If the clock jumps forward by years, iterates over the entries instead of the seconds. */
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
