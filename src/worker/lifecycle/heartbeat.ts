import { ERRORS } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Connection } from '../connection/connection.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { Hub } from '../hub/hub.ts';
import { PING } from '../websocket/frame.ts';

/** Each interval's work is spread over so many ticks, so that no turn has to ping everybody. */
const TICKS_PER_INTERVAL = 16;

/** The slowest link on which a client is waited for: its pong may come behind all that was sent before the ping. */
const SLOWEST_BYTES_PER_SECOND = 16 * 1024;
/** What a system and the network may hold of what was sent. Attack: a client that reads nothing is waited for. */
const UNDRAINED_MAX_BYTES = 8 * 1024 * 1024;

/**
 * Finds clients that are gone without a word, with one timer for all. Each client is looked at once in an
 * interval. If any byte came since the last look, it is left alone. If not, it is pinged, and closed at the next look
 * that finds it silent. So a dead client is noticed after two to three intervals; later only if so much was sent to it
 * before the ping that a slow link is still busy with it.
 */
export class Heartbeat {
  readonly #hub: Hub;
  readonly #sendQueue: SendQueue;
  readonly #unexpected: UnexpectedErrors;
  readonly #stats: Stats;
  readonly #timer: NodeJS.Timeout;
  #iterator: IterableIterator<Connection>;
  readonly #drainedPerCheck: number;
  #ticks = 0;

  constructor(options: {
    intervalMs: number;
    hub: Hub;
    sendQueue: SendQueue;
    unexpected: UnexpectedErrors;
    stats: Stats;
  }) {
    this.#hub = options.hub;
    this.#sendQueue = options.sendQueue;
    this.#unexpected = options.unexpected;
    this.#stats = options.stats;
    this.#drainedPerCheck = (options.intervalMs / 1_000) * SLOWEST_BYTES_PER_SECOND;
    this.#iterator = this.#hub.connections();
    this.#timer = setInterval(this.#tick, options.intervalMs / TICKS_PER_INTERVAL);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  readonly #tick = (): void => {
    this.#ticks += 1;
    // The last tick looks at whoever is left, however many came meanwhile; then a round has taken an interval.
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
    if (wasHeard(connection)) {
      connection.pingedAt = undefined;
    } else if (connection.pingedAt === undefined) {
      connection.pingedAt = connection.sentBytes;
      connection.pingChecks = Math.floor(connection.undrainedBytes / this.#drainedPerCheck);
      this.#sendQueue.enqueue(connection, PING);
    } else if (connection.pingChecks > 0) {
      connection.pingChecks -= 1;
    } else {
      this.#stats.connectionsHeartbeatLost += 1;
      this.#sendQueue.close(connection, ERRORS.heartbeat_lost);
    }
  }

  /**
   * How much of what was sent may not have arrived yet: nothing of Node says what the system still holds. A pong proves
   * that all before its ping has arrived; otherwise the slowest link is assumed.
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

/** Any byte is a sign of life; a client that is not read from at the moment cannot give one. */
function wasHeard(connection: Connection): boolean {
  const { receivedBytes } = connection.transport;
  const isHeard = receivedBytes !== connection.receivedBytes || connection.backlog !== undefined;
  connection.receivedBytes = receivedBytes;
  return isHeard;
}
