import type { ToWorker } from '../../shared/ipc/messages.ts';

const SHARE_MS = 200;

/**
 * Attack: many clients, each within its limits, that together name more channels and users than the primary has memory
 * for. Each worker gets a number of bytes that it may add until the next message. What one worker does not use, all
 * workers share in the next round.
 */
export class NameBudget {
  readonly #nameBytes: () => number;
  readonly #maxBytes: number;
  readonly #workers: number;
  readonly #send: (message: ToWorker) => void;
  readonly #timer: NodeJS.Timeout;

  /** `nameBytes` returns what all names cost now. `send` sends to every worker. */
  constructor(options: {
    nameBytes: () => number;
    maxBytes: number;
    workers: number;
    send: (message: ToWorker) => void;
  }) {
    this.#nameBytes = options.nameBytes;
    this.#maxBytes = options.maxBytes;
    this.#workers = options.workers;
    this.#send = options.send;
    this.#timer = setInterval(this.#share, SHARE_MS).unref();
  }

  /** How much each worker may add from now on. */
  get message(): ToWorker {
    const left = Math.max(0, this.#maxBytes - this.#nameBytes());
    return { type: 'names', bytes: Math.floor(left / this.#workers) };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Sends even an unchanged budget: a worker may have spent its share on names that are already removed. */
  readonly #share = (): void => this.#send(this.message);
}
