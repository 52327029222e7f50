import { ERRORS } from '../../shared/errors/catalogue.ts';
import type { ClientFacts, ClientLog } from '../../shared/logging/client-log.ts';
import type { Stats } from '../../shared/stats.ts';
import { type Frames, frameText, joinFrames } from '../websocket/frame.ts';
import type { Connection } from './connection.ts';

/**
 * The one way out to clients. What is posted during a turn leaves at its end, in one write per client. A
 * client for which more than `maxBytes` would wait unsent is closed as too slow; nobody else notices.
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

  /** Adds to what leaves for this client at the end of the turn, after what was posted before. */
  enqueue(connection: Connection, frames: Frames): void {
    if (connection.pending !== undefined) {
      connection.pending.push(frames);
      return;
    }
    connection.pending = [frames];
    this.#queued.push(connection);
    this.#scheduleFlush();
  }

  /** Sends at once, unless something posted before has to go first. */
  sendNow(connection: Connection, frames: Frames): void {
    if (connection.pending !== undefined) connection.pending.push(frames);
    else this.#write(connection, frames);
  }

  /** Writes what was posted since the last flush. */
  readonly flush = (): void => {
    const queued = this.#queued;
    if (queued.length === 0) return;
    this.#queued = [];
    // Clients of the same channels hold the same frames in the same order: joined once, shared by all of them.
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

  /**
   * Ends a connection: what was posted is written, then the goodbye. The first error wins; closing twice
   * does nothing.
   */
  close(connection: Connection, error: Connection['closeError'] & object): void {
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
      this.#stats.connectionsTooSlow += 1;
      this.#stats.deliveriesDropped += frames.messages.length;
      this.#startClose(connection, ERRORS.too_slow);
      return;
    }
    connection.transport.write(frames);
  }

  #startClose(connection: Connection, error: Connection['closeError'] & object): void {
    // `#write` may have found the client too slow a moment ago.
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

/** What the log says of a client. */
export function factsOf({ appKey, protocol, id, transport }: Connection): ClientFacts {
  return { app: appKey, address: transport.address, protocol: protocol.name, connection: id };
}
