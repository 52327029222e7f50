import { ERRORS } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import type { Connection } from '../connection/connection.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { Hub } from '../hub/hub.ts';
import { PING } from '../websocket/frame.ts';

/** The pings of an interval are spread over this many ticks, so that no turn pings all clients. */
const TICKS_PER_INTERVAL = 16;

/** The slowest link that keeps a connection. A ping arrives only after everything that was sent before it. */
const SLOWEST_BYTES_PER_SECOND = 16 * 1024;
/** Assumed limit of the bytes in transit. Attack: a client that reads nothing, to delay its heartbeat timeout. */
const UNDRAINED_MAX_BYTES = 8 * 1024 * 1024;

/**
 * Closes connections whose clients disappeared without closing their sockets, with one timer for all. Checks each
 * connection once per interval. A client that sent no byte since the last check is pinged; if it is silent at the next
 * check too, its connection is closed. This takes two to three intervals, and longer only if a slow link may still be
 * busy with bytes that were sent before the ping.
 */
export class Heartbeat {
  readonly #hub: Hub;
  readonly #sendQueue: SendQueue;
  readonly #unexpected: UnexpectedErrors;
  readonly #timer: NodeJS.Timeout;
  #iterator: IterableIterator<Connection>;
  readonly #drainedPerCheck: number;
  #ticks = 0;

  constructor(options: {
    intervalMs: number;
    hub: Hub;
    sendQueue: SendQueue;
    unexpected: UnexpectedErrors;
  }) {
    this.#hub = options.hub;
    this.#sendQueue = options.sendQueue;
    this.#unexpected = options.unexpected;
    this.#drainedPerCheck = (options.intervalMs / 1_000) * SLOWEST_BYTES_PER_SECOND;
    this.#iterator = this.#hub.connections();
    this.#timer = setInterval(this.#tick, options.intervalMs / TICKS_PER_INTERVAL);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  readonly #tick = (): void => {
    this.#ticks += 1;
    // The last tick checks all remaining connections, however many were added, so that a round takes one interval.
    const isLast = this.#ticks % TICKS_PER_INTERVAL === 0;
    const share = Math.ceil(this.#hub.size / TICKS_PER_INTERVAL);
    for (let checks = isLast ? this.#hub.size : share; checks > 0; checks -= 1) {
      const next = this.#iterator.next();
      if (next.done) break;
      try {
        this.#check(next.value);
      } catch (error) {
        this.#unexpected.report(error, 'heartbeat');
      }
    }
    if (isLast) this.#iterator = this.#hub.connections();
  };

  #check(connection: Connection): void {
    if (connection.state !== 'open') return;
    this.#estimateUndrained(connection);
    if (hasReceived(connection)) {
      connection.pingedAt = undefined;
    } else if (connection.pingedAt === undefined) {
      connection.pingedAt = connection.sentBytes;
      connection.pingChecks = Math.floor(connection.undrainedBytes / this.#drainedPerCheck);
      this.#sendQueue.enqueue(connection, PING);
    } else if (connection.pingChecks > 0) {
      connection.pingChecks -= 1;
    } else {
      this.#sendQueue.close(connection, ERRORS.heartbeat_lost);
    }
  }

  /**
   * Estimates how many sent bytes have not arrived yet, because Node does not know what the system still buffers. A pong
   * proves that everything before its ping has arrived. Without a pong the slowest link is assumed.
   */
  #estimateUndrained(connection: Connection): void {
    const { sentBytes } = connection.transport;
    const left = Math.max(0, connection.undrainedBytes - this.#drainedPerCheck);
    const isAnswered = connection.ponged && connection.pingedAt !== undefined;
    connection.undrainedBytes = isAnswered
      ? sentBytes - (connection.pingedAt ?? 0)
      : Math.min(UNDRAINED_MAX_BYTES, left + sentBytes - connection.sentBytes);
    connection.sentBytes = sentBytes;
    connection.ponged = false;
  }
}

/** Whether any byte was received since the last check. A client whose reading is paused counts as active. */
function hasReceived(connection: Connection): boolean {
  const { receivedBytes } = connection.transport;
  const isActive = receivedBytes !== connection.receivedBytes || connection.backlog !== undefined;
  connection.receivedBytes = receivedBytes;
  return isActive;
}
