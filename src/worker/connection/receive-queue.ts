import { ERRORS } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import { countError, type Stats } from '../../shared/metrics/stats.ts';
import { framePong, frameText } from '../websocket/frame.ts';
import type { Connection } from './connection.ts';
import type { SendQueue } from './send-queue.ts';

const SECONDS_PER_MINUTE = 60;

/** A closed connection whose commands are still executed. */
interface Finishing {
  /** Called once, after the last command. */
  readonly onFinished: () => void;
  /** The last second in which commands are executed. */
  readonly lastSecond: number;
}

/**
 * Passes the messages of a connection to its protocol one by one: each after the command before it is finished, and
 * within the rate limit. Messages that must wait stay in the client's socket, except the rest of the last chunk read.
 */
export class ReceiveQueue {
  readonly #commandsPerSecond: number;
  readonly #framesPerSecond: number;
  readonly #bytesPerSecond: number;
  readonly #protocolErrorsPerMinute: number;
  readonly #sendQueue: SendQueue;
  readonly #unexpected: UnexpectedErrors;
  readonly #stats: Stats;
  readonly #ticker: NodeJS.Timeout;
  readonly #throttled = new Set<Connection>();
  /** Closed connections that still have commands to execute. */
  readonly #finishing = new Map<Connection, Finishing>();
  #second = 0;

  constructor(options: {
    commandsPerSecond: number;
    framesPerSecond: number;
    bytesPerSecond: number;
    protocolErrorsPerMinute: number;
    sendQueue: SendQueue;
    unexpected: UnexpectedErrors;
    stats: Stats;
  }) {
    this.#commandsPerSecond = options.commandsPerSecond;
    this.#framesPerSecond = options.framesPerSecond;
    this.#bytesPerSecond = options.bytesPerSecond;
    this.#protocolErrorsPerMinute = options.protocolErrorsPerMinute;
    this.#sendQueue = options.sendQueue;
    this.#unexpected = options.unexpected;
    this.#stats = options.stats;
    this.#ticker = setInterval(this.#tick, 1_000);
  }

  /** Receives one message of a client. */
  receive(connection: Connection, data: Buffer, isBinary: boolean): void {
    this.#stats.messagesReceived += 1;
    if (connection.state === 'closing') {
      this.countFrame(connection, data.length);
      return;
    }
    connection.hadTraffic = true;
    if (connection.backlog === undefined) this.#handle(connection, data, isBinary);
    else connection.backlog.push({ data, isBinary });
  }

  /**
   * Counts a frame that is not a whole message. Attack: a flood of pings, pongs or fragments. Beyond the rates nothing
   * is read from the client until the next second, and each such second counts as one protocol error.
   */
  countFrame(connection: Connection, bytes: number): void {
    this.#beginSecond(connection);
    connection.frames += 1;
    connection.bytesInSecond += bytes;
    const isOverFrames = connection.frames > this.#framesPerSecond;
    if (!isOverFrames && connection.bytesInSecond <= this.#bytesPerSecond) return;
    if (connection.state !== 'open') {
      // The server has sent a close frame; a flood forfeits the time to answer it.
      if (connection.state === 'closing') connection.transport.terminate();
      return;
    }
    if (connection.frames === this.#framesPerSecond + 1) {
      this.#stats.secondsThrottled += 1;
      this.countProtocolError(connection);
    }
    if (connection.backlog !== undefined) return;
    this.#pauseReading(connection, []);
    this.#throttled.add(connection);
  }

  /**
   * Whether the pong must wait until the client is read again. Then only the last ping is answered, as RFC 6455 §5.5.3
   * allows.
   */
  defersPong(connection: Connection, ping: Buffer): boolean {
    if (!this.#throttled.has(connection)) return false;
    connection.latePing = ping;
    return true;
  }

  /** Counts a protocol error; too many within a minute close the connection. */
  countProtocolError(connection: Connection): void {
    this.#stats.protocolErrors += 1;
    const minute = Math.floor(this.#second / SECONDS_PER_MINUTE);
    if (connection.protocolErrorMinute !== minute) {
      connection.protocolErrorMinute = minute;
      connection.protocolErrors = 0;
    }
    connection.protocolErrors += 1;
    if (connection.protocolErrors <= this.#protocolErrorsPerMinute || connection.state !== 'open') return;
    this.#sendQueue.close(connection, ERRORS.too_many_protocol_errors);
  }

  /**
   * Executes the commands that a closed connection sent before its close, then calls `onFinished`. A connection that was
   * closed with an error has its commands dropped. Attack: many slow commands before the close; they get two seconds.
   */
  finishThen(connection: Connection, onFinished: () => void): void {
    const isThrottled = this.#throttled.delete(connection);
    if (connection.backlog === undefined || connection.closeError !== undefined) {
      connection.backlog = undefined;
      onFinished();
      return;
    }
    this.#finishing.set(connection, { onFinished, lastSecond: this.#second + 1 });
    if (isThrottled) this.#release(connection);
  }

  close(): void {
    clearInterval(this.#ticker);
  }

  #handle(connection: Connection, data: Buffer, isBinary: boolean): void {
    const isOpen = connection.state === 'open';
    if (!isOpen && !this.#finishing.has(connection)) return;
    if (!this.#mayProceed(connection, data.length)) {
      if (!isOpen) return;
      this.#pauseReading(connection, [{ data, isBinary }]);
      this.#throttled.add(connection);
      return;
    }
    let unfinished: Promise<void> | undefined;
    try {
      unfinished = connection.protocol.receive(connection, data, isBinary);
    } catch (error) {
      this.#fail(connection, data, isBinary, error);
    }
    if (unfinished === undefined) return;
    this.#pauseReading(connection, []);
    const release = (): void => this.#release(connection);
    const fail = (error: unknown): void => this.#fail(connection, data, isBinary, error);
    void unfinished.catch(fail).then(() => this.#unexpected.run('command_release', release));
  }

  /** The only place that handles unexpected errors of commands: logs the stack, and answers `internal`. */
  #fail(connection: Connection, data: Buffer, isBinary: boolean, error: unknown): void {
    const { appKey, protocol, id } = connection;
    this.#unexpected.report(error, 'command', { app: appKey, protocol: protocol.name, connection: id });
    if (connection.state !== 'open') return;
    countError(this.#stats, 'command', ERRORS.internal.code);
    this.#unexpected.run('command_answer', () => {
      this.#sendQueue.enqueue(connection, frameText(protocol.encodeFailure(connection, data, isBinary)));
    });
  }

  /** A message of any size may begin; the next one waits if it exceeded the rate. */
  #mayProceed(connection: Connection, bytes: number): boolean {
    this.#beginSecond(connection);
    if (connection.commands >= this.#commandsPerSecond) return false;
    if (connection.bytesInSecond >= this.#bytesPerSecond) return false;
    connection.commands += 1;
    connection.bytesInSecond += bytes;
    return true;
  }

  #answerLatePing(connection: Connection): void {
    const ping = connection.latePing;
    connection.latePing = undefined;
    if (ping !== undefined) this.#sendQueue.enqueue(connection, framePong(ping));
  }

  #beginSecond(connection: Connection): void {
    if (connection.commandSecond === this.#second) return;
    connection.commandSecond = this.#second;
    connection.commands = 0;
    connection.frames = 0;
    connection.bytesInSecond = 0;
  }

  #pauseReading(connection: Connection, first: NonNullable<Connection['backlog']>): void {
    connection.backlog = first;
    connection.transport.pause();
  }

  #release(connection: Connection): void {
    const waiting = connection.backlog ?? [];
    connection.backlog = undefined;
    for (const [index, { data, isBinary }] of waiting.entries()) {
      this.#handle(connection, data, isBinary);
      // `#handle` may pause the connection again; then the rest waits behind its new backlog.
      const backlog = connection.backlog as Connection['backlog'];
      if (backlog !== undefined) {
        backlog.push(...waiting.slice(index + 1));
        return;
      }
    }
    if (connection.state !== 'closed') connection.transport.resume();
    this.#finish(connection);
  }

  #finish(connection: Connection): void {
    const finishing = this.#finishing.get(connection);
    if (finishing === undefined) return;
    this.#finishing.delete(connection);
    connection.backlog = undefined;
    finishing.onFinished();
  }

  readonly #tick = (): void => {
    this.#second += 1;
    for (const [connection, { lastSecond }] of this.#finishing) {
      if (this.#second > lastSecond) this.#unexpected.run('connection_end', () => this.#finish(connection));
    }
    const throttled = [...this.#throttled];
    this.#throttled.clear();
    for (const connection of throttled) {
      this.#answerLatePing(connection);
      this.#unexpected.run('command_release', () => this.#release(connection));
    }
  };
}
