import { ERRORS } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { Hub } from '../hub/hub.ts';

/** A connection is closed after this many consecutive checks without traffic. */
const CHECKS = 24;

/**
 * Closes Pusher connections without messages in either direction. Pusher clients send `pusher:ping` after two minutes of
 * silence, so only clients that merely answer WebSocket pings are affected.
 */
export class IdleTimeout {
  readonly #hub: Pick<Hub, 'connections'>;
  readonly #sendQueue: Pick<SendQueue, 'close'>;
  readonly #unexpected: UnexpectedErrors;
  readonly #timer: NodeJS.Timeout;

  constructor(options: {
    afterMs: number;
    hub: Pick<Hub, 'connections'>;
    sendQueue: Pick<SendQueue, 'close'>;
    unexpected: UnexpectedErrors;
  }) {
    this.#hub = options.hub;
    this.#sendQueue = options.sendQueue;
    this.#unexpected = options.unexpected;
    this.#timer = setInterval(this.#check, options.afterMs / CHECKS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  readonly #check = (): void => {
    for (const connection of this.#hub.connections()) {
      const { pusher: session } = connection;
      if (session === undefined) continue;
      // A new connection starts with `hadTraffic`, so its first check does not count.
      session.idleChecks = connection.hadTraffic ? 0 : session.idleChecks + 1;
      connection.hadTraffic = false;
      if (session.idleChecks < CHECKS) continue;
      this.#unexpected.run('idle_timeout', () => this.#sendQueue.close(connection, ERRORS.inactive));
    }
  };
}
