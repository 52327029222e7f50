import { ERRORS } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { Hub } from '../hub/hub.ts';

/** So many looks in a row have to find nothing: a client is closed a part of this early at most. */
const CHECKS = 24;

/**
 * Ends Pusher connections on which nothing was said for a long time, in either direction. Their clients ask after a
 * silence of two minutes whether the server is there, so this meets whoever just answers pings.
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
      // The first look at what is new counts for nothing.
      session.idleChecks = connection.hadTraffic ? 0 : session.idleChecks + 1;
      connection.hadTraffic = false;
      if (session.idleChecks < CHECKS) continue;
      this.#unexpected.run('idle_timeout', () => this.#sendQueue.close(connection, ERRORS.inactive));
    }
  };
}
