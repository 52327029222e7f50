import { GusherError } from '../../shared/errors/catalogue.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import type { TailFilter } from '../../shared/tail/tail.ts';

/** Receives the entries of a tail: JSON texts, and the number of entries left out. */
export interface TailReceiver {
  receive(lines: readonly string[], dropped: number): void;
  /** The worker is stopping. */
  end(): void;
}

type TailMessage = ToWorker & { type: 'tailOpened' | 'tailReceived' };

/** Opens tails of the host, which this worker serves over its API. */
export class TailClient {
  readonly #send: (message: ToPrimary) => void;
  readonly #receivers = new Map<number, TailReceiver>();
  readonly #opening = new Map<number, (isAccepted: boolean) => void>();
  #lastId = 0;

  constructor(options: { send: (message: ToPrimary) => void }) {
    this.#send = options.send;
  }

  /**
   * Opens a tail. Resolves with the function that closes it, once the primary has sent it to all workers. Rejects with
   * `too_many_tails`.
   */
  async open(filter: TailFilter, dataMaxBytes: number, receiver: TailReceiver): Promise<() => void> {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#receivers.set(id, receiver);
    const isAccepted = await new Promise<boolean>((resolve) => {
      this.#opening.set(id, resolve);
      this.#send({ type: 'tailOpen', id, filter, dataMaxBytes });
    });
    if (!isAccepted) {
      this.#receivers.delete(id);
      throw new GusherError('too_many_tails');
    }
    return () => {
      if (this.#receivers.delete(id)) this.#send({ type: 'tailClose', id });
    };
  }

  receive(message: TailMessage): void {
    if (message.type === 'tailReceived') {
      this.#receivers.get(message.id)?.receive(message.lines, message.dropped);
      return;
    }
    this.#opening.get(message.id)?.(message.isAccepted);
    this.#opening.delete(message.id);
  }

  /** Ends all tails. */
  close(): void {
    for (const receiver of [...this.#receivers.values()]) receiver.end();
  }
}
