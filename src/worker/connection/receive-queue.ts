import { REFUSALS } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import type { Stats } from '../../shared/stats.ts';
import { frameText } from '../websocket/frame.ts';
import type { Connection } from './connection.ts';
import type { Outbox } from './send-queue.ts';

const SECONDS_PER_MINUTE = 60;

/** What follows when a client that has gone has nothing more to be carried out, and until when that is waited for. */
interface Finishing {
  readonly forget: () => void;
  readonly lastSecond: number;
}

/**
 * The one way in from clients. Hands the messages of a connection to its dialect one after another: each only
 * when the command before it is finished, and no more of them in a second than allowed. What has to wait stays
 * in the client's socket, except for the rest of the chunk that was just read.
 */
export class Inbox {
  readonly #commandsPerSecond: number;
  readonly #faultsPerMinute: number;
  readonly #outbox: Outbox;
  readonly #unexpected: UnexpectedErrors;
  readonly #stats: Stats;
  readonly #ticker: NodeJS.Timeout;
  readonly #throttled = new Set<Connection>();
  /** Clients that have gone while something they had said was to be carried out. */
  readonly #finishing = new Map<Connection, Finishing>();
  #second = 0;

  constructor(options: {
    commandsPerSecond: number;
    faultsPerMinute: number;
    outbox: Outbox;
    unexpected: UnexpectedErrors;
    stats: Stats;
  }) {
    this.#commandsPerSecond = options.commandsPerSecond;
    this.#faultsPerMinute = options.faultsPerMinute;
    this.#outbox = options.outbox;
    this.#unexpected = options.unexpected;
    this.#stats = options.stats;
    this.#ticker = setInterval(this.#tick, 1_000);
  }

  /** Takes one message from a client. */
  take(connection: Connection, data: Buffer, isBinary: boolean): void {
    this.#stats.framesReceived += 1;
    connection.heard = true;
    connection.active = true;
    if (connection.backlog === undefined) this.#handle(connection, data, isBinary);
    else connection.backlog.push({ data, isBinary });
  }

  /** Counts a fault of a client against it; too many in a minute end the connection. */
  fault(connection: Connection): void {
    this.#stats.faults += 1;
    const minute = Math.floor(this.#second / SECONDS_PER_MINUTE);
    if (connection.faultMinute !== minute) {
      connection.faultMinute = minute;
      connection.faults = 0;
    }
    connection.faults += 1;
    if (connection.faults <= this.#faultsPerMinute || connection.state !== 'open') return;
    this.#stats.connectionsTooManyFaults += 1;
    this.#outbox.close(connection, REFUSALS.too_many_faults);
  }

  /**
   * A client has gone. What it had said before is still carried out, for a second or two, unless it was sent away or has said
   * more than it may; then `forget` is called. Attack: many slow commands before the close would keep it here for long.
   */
  finish(connection: Connection, forget: () => void): void {
    const isThrottled = this.#throttled.delete(connection);
    if (connection.backlog === undefined || connection.refusal !== undefined) {
      connection.backlog = undefined;
      forget();
      return;
    }
    this.#finishing.set(connection, { forget, lastSecond: this.#second + 1 });
    if (isThrottled) this.#release(connection);
  }

  close(): void {
    clearInterval(this.#ticker);
  }

  #handle(connection: Connection, data: Buffer, isBinary: boolean): void {
    const isOpen = connection.state === 'open';
    if (!isOpen && !this.#finishing.has(connection)) return;
    if (!this.#mayGoOn(connection)) {
      if (!isOpen) return;
      this.#hold(connection, [{ data, isBinary }]);
      this.#throttled.add(connection);
      return;
    }
    let unfinished: Promise<void> | undefined;
    try {
      unfinished = connection.dialect.receive(connection, data, isBinary);
    } catch (error) {
      this.#fail(connection, data, isBinary, error);
    }
    if (unfinished === undefined) return;
    this.#hold(connection, []);
    const release = (): void => this.#release(connection);
    const fail = (error: unknown): void => this.#fail(connection, data, isBinary, error);
    void unfinished.catch(fail).then(() => this.#unexpected.run('command_release', release));
  }

  /** The only place that answers an error which no command expects: `internal` for its client, the stack for the log. */
  #fail(connection: Connection, data: Buffer, isBinary: boolean, error: unknown): void {
    const { appKey, dialect, id } = connection;
    this.#unexpected.report(error, 'command', { app: appKey, protocol: dialect.name, connection: id });
    if (connection.state !== 'open') return;
    this.#unexpected.run('command_answer', () => {
      this.#outbox.post(connection, frameText(dialect.encodeFailure(connection, data, isBinary)));
    });
  }

  #mayGoOn(connection: Connection): boolean {
    if (connection.commandSecond !== this.#second) {
      connection.commandSecond = this.#second;
      connection.commands = 0;
    }
    if (connection.commands >= this.#commandsPerSecond) return false;
    connection.commands += 1;
    return true;
  }

  #hold(connection: Connection, first: NonNullable<Connection['backlog']>): void {
    connection.backlog = first;
    connection.transport.pause();
  }

  #release(connection: Connection): void {
    const waiting = connection.backlog ?? [];
    connection.backlog = undefined;
    for (const [index, { data, isBinary }] of waiting.entries()) {
      this.#handle(connection, data, isBinary);
      // `#handle` may hold the connection again; then the rest waits behind what it holds.
      const held = connection.backlog as Connection['backlog'];
      if (held !== undefined) {
        held.push(...waiting.slice(index + 1));
        return;
      }
    }
    if (connection.state !== 'closed') connection.transport.resume();
    this.#forget(connection);
  }

  #forget(connection: Connection): void {
    const finishing = this.#finishing.get(connection);
    if (finishing === undefined) return;
    this.#finishing.delete(connection);
    connection.backlog = undefined;
    finishing.forget();
  }

  readonly #tick = (): void => {
    this.#second += 1;
    for (const [connection, { lastSecond }] of this.#finishing) {
      if (this.#second > lastSecond) this.#unexpected.run('connection_end', () => this.#forget(connection));
    }
    const throttled = [...this.#throttled];
    this.#throttled.clear();
    for (const connection of throttled) {
      this.#unexpected.run('command_release', () => this.#release(connection));
    }
  };
}
