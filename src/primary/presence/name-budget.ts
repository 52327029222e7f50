import type { ToWorker } from '../../shared/ipc/messages.ts';
import type { PresenceRegistry } from './registry.ts';

const SHARE_MS = 200;

/**
 * Attack: many clients, each within its limits, that together name more channels and users than the primary has memory
 * for. Each worker gets a number of bytes that it may add until the next message. What one worker does not use, all
 * workers share in the next round.
 */
export class NameBudget {
  readonly #registry: Pick<PresenceRegistry, 'nameBytes'>;
  readonly #maxBytes: number;
  readonly #workers: number;
  readonly #send: (message: ToWorker) => void;
  readonly #timer: NodeJS.Timeout;

  /** `send` sends to every worker. */
  constructor(options: {
    registry: Pick<PresenceRegistry, 'nameBytes'>;
    maxBytes: number;
    workers: number;
    send: (message: ToWorker) => void;
  }) {
    this.#registry = options.registry;
    this.#maxBytes = options.maxBytes;
    this.#workers = options.workers;
    this.#send = options.send;
    this.#timer = setInterval(this.#share, SHARE_MS).unref();
  }

  /** How much each worker may add from now on. */
  get message(): ToWorker {
    const left = Math.max(0, this.#maxBytes - this.#registry.nameBytes);
    return { type: 'names', bytes: Math.floor(left / this.#workers) };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Sends even an unchanged budget: a worker may have spent its share on names that are already removed. */
  readonly #share = (): void => this.#send(this.message);
}
