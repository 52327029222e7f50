import { REFUSALS } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Connection } from '../connection/connection.ts';
import type { Outbox } from '../connection/send-queue.ts';
import type { Hub } from '../hub/hub.ts';
import { PING } from '../websocket/frame.ts';

/** Each interval's work is spread over so many ticks, so that no turn has to ping everybody. */
const TICKS_PER_INTERVAL = 16;

/**
 * Finds clients that are gone without a word, with one timer for all. Each client is looked at once in an
 * interval: heard since the last look, it is left alone; silent, it is pinged; still silent at the next look,
 * it is closed. So a dead client is noticed after two to three intervals.
 */
export class Heartbeat {
  readonly #hub: Hub;
  readonly #outbox: Outbox;
  readonly #unexpected: UnexpectedErrors;
  readonly #stats: Stats;
  readonly #timer: NodeJS.Timeout;
  #round: IterableIterator<Connection>;
  #ticks = 0;

  constructor(options: {
    intervalMs: number;
    hub: Hub;
    outbox: Outbox;
    unexpected: UnexpectedErrors;
    stats: Stats;
  }) {
    this.#hub = options.hub;
    this.#outbox = options.outbox;
    this.#unexpected = options.unexpected;
    this.#stats = options.stats;
    this.#round = this.#hub.connections();
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
    for (let looks = isLast ? this.#hub.size : share; looks > 0; looks -= 1) {
      const next = this.#round.next();
      if (next.done) break;
      try {
        this.#lookAt(next.value);
      } catch (error) {
        this.#unexpected.report(error, 'heartbeat');
      }
    }
    if (isLast) this.#round = this.#hub.connections();
  };

  #lookAt(connection: Connection): void {
    if (connection.state !== 'open') return;
    if (connection.heard) {
      connection.heard = false;
      connection.pinged = false;
    } else if (!connection.pinged) {
      connection.pinged = true;
      this.#outbox.post(connection, PING);
    } else {
      this.#stats.connectionsHeartbeatLost += 1;
      this.#outbox.close(connection, REFUSALS.heartbeat_lost);
    }
  }
}
