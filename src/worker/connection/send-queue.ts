import { ERRORS, type ErrorEntry } from '../../shared/errors/catalogue.ts';
import type { ClientFacts, ClientLog } from '../../shared/logging/client-log.ts';
import type { Stats } from '../../shared/metrics/stats.ts';
import { type Frames, frameText, joinFrames } from '../websocket/frame.ts';
import type { Connection } from './connection.ts';

/**
 * Sends frames to clients. Frames enqueued during a turn of the event loop leave at its end, in one write per client. A
 * client with more than `maxBytes` unsent is closed as too slow, without an effect on other clients.
 */
export class SendQueue {
  readonly #maxBytes: number;
  readonly #stats: Stats;
  readonly #scheduleFlush: () => void;
  readonly #clientLog: Pick<ClientLog, 'clientClosed'> | undefined;
  #queued: Connection[] = [];

  constructor(options: {
    maxBytes: number;
    stats: Stats;
    scheduleFlush: () => void;
    clientLog?: Pick<ClientLog, 'clientClosed'>;
  }) {
    this.#maxBytes = options.maxBytes;
    this.#stats = options.stats;
    this.#scheduleFlush = options.scheduleFlush;
    this.#clientLog = options.clientLog;
  }

  /** Sends frames at the end of the turn, after those enqueued before. */
  enqueue(connection: Connection, frames: Frames): void {
    if (connection.pending !== undefined) {
      connection.pending.push(frames);
      return;
    }
    connection.pending = [frames];
    this.#queued.push(connection);
    this.#scheduleFlush();
  }

  /** Sends frames now, unless enqueued frames must go first. */
  sendNow(connection: Connection, frames: Frames): void {
    if (connection.pending !== undefined) connection.pending.push(frames);
    else this.#write(connection, frames);
  }

  /** Writes everything enqueued since the last flush. */
  readonly flush = (): void => {
    const queued = this.#queued;
    if (queued.length === 0) return;
    this.#queued = [];
    // Neighbouring clients often have the same frames: these are joined once, and the bytes are shared.
    let list: readonly Frames[] = [];
    let joined: Frames | undefined;
    for (const connection of queued) {
      const pending = connection.pending;
      if (pending === undefined) continue;
      connection.pending = undefined;
      if (joined === undefined || !sameFrames(list, pending)) {
        list = pending;
        joined = joinFrames(pending);
      }
      this.#write(connection, joined);
    }
  };

  /** Writes everything enqueued, then the close frame. Only the first close of a connection has an effect. */
  close(connection: Connection, error: ErrorEntry): void {
    if (connection.state !== 'open') return;
    const { pending } = connection;
    connection.pending = undefined;
    if (pending !== undefined) this.#write(connection, joinFrames(pending));
    this.#startClose(connection, error);
  }

  #write(connection: Connection, frames: Frames): void {
    if (connection.state !== 'open') return;
    const { unsentBytes } = connection.transport;
    if (unsentBytes > 0 && unsentBytes + frames.bytes.length > this.#maxBytes) {
      this.#stats.deliveriesDropped += frames.deliveries;
      this.#startClose(connection, ERRORS.too_slow);
      return;
    }
    if (!connection.transport.write(frames)) return;
    this.#stats.deliveries += frames.deliveries;
    this.#stats.deliveredBytes += frames.bytes.length;
  }

  #startClose(connection: Connection, error: ErrorEntry): void {
    // `#write` may just have closed the client as too slow.
    if (connection.state !== 'open') return;
    connection.state = 'closing';
    connection.closeError = error;
    const { code, reason, text } = connection.protocol.closeFrameFor(error, connection);
    if (text !== undefined) connection.transport.write(frameText(text));
    this.#clientLog?.clientClosed(error, code, factsOf(connection));
    connection.transport.close(code, reason);
  }
}

function sameFrames(one: readonly Frames[], other: readonly Frames[]): boolean {
  return one.length === other.length && one.every((frames, index) => frames === other[index]);
}

/** The fields of a log line about a client. */
export function factsOf({ appKey, protocol, id, transport }: Connection): ClientFacts {
  return { app: appKey, address: transport.address, protocol: protocol.name, connection: id };
}
