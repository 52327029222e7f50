import type { ToPrimary, ToWorker } from '../shared/ipc/messages.ts';
import type { Tail, TailBatch } from '../shared/tail/tail.ts';
import { type Recorder, Tap } from '../shared/tail/tap.ts';

/** Each tail costs work for every entry of the host. */
const TAILS_MAX = 8;
/** Attack: more entries than a worker takes from its pipe. Beyond this, entries are dropped and counted. */
const UNSENT_MAX_BYTES = 1024 * 1024;

interface OpenTail extends Tail {
  /** The worker that serves the tail, and its own id of it. */
  readonly slot: number;
  readonly localId: number;
  /** Entries that were dropped here, and are not reported yet. */
  dropped: number;
}

export interface TailsOptions {
  /** Sends to the worker in a slot. */
  readonly send: (slot: number, message: ToWorker) => void;
  readonly broadcast: (message: ToWorker) => void;
  /** Bytes that the worker in a slot has not taken from its pipe. */
  readonly unsentBytes: (slot: number) => number;
}

/** The open tails of this host: passes the entries of every process to the worker that serves the tail. */
export class Tails {
  readonly #options: TailsOptions;
  readonly #tap: Tap;
  readonly #tails = new Map<number, OpenTail>();
  #lastId = 0;

  constructor(options: TailsOptions) {
    this.#options = options;
    this.#tap = new Tap({ source: { worker: 'primary' }, send: (batches) => this.#pass(batches) });
  }

  /** Records entries of the primary. */
  get tap(): Recorder {
    return this.#tap;
  }

  /** The message that makes a new worker record entries, if a tail is open. */
  get message(): ToWorker | undefined {
    return this.#tails.size > 0 ? this.#message() : undefined;
  }

  receive(slot: number, message: ToPrimary & { type: 'tailOpen' | 'tailClose' | 'tailEntries' }): void {
    switch (message.type) {
      case 'tailOpen':
        this.#open(slot, message);
        break;
      case 'tailClose':
        this.#close(slot, message.id);
        break;
      case 'tailEntries':
        this.#pass(message.batches);
        break;
      default:
        message satisfies never;
    }
  }

  /** Closes the tails that a worker served which has exited. */
  dropWorker(slot: number): void {
    const ids = [...this.#tails.values()].filter((tail) => tail.slot === slot).map(({ id }) => id);
    for (const id of ids) this.#tails.delete(id);
    if (ids.length > 0) this.#update();
  }

  #open(slot: number, { id: localId, filter, dataMaxBytes }: ToPrimary & { type: 'tailOpen' }): void {
    const isAccepted = this.#tails.size < TAILS_MAX;
    if (isAccepted) {
      this.#lastId += 1;
      const id = this.#lastId;
      this.#tails.set(id, { id, filter, dataMaxBytes, slot, localId, dropped: 0 });
      this.#update();
    }
    this.#options.send(slot, { type: 'tailOpened', id: localId, isAccepted });
  }

  #close(slot: number, localId: number): void {
    for (const tail of this.#tails.values()) {
      if (tail.slot === slot && tail.localId === localId) this.#tails.delete(tail.id);
    }
    this.#update();
  }

  #update(): void {
    this.#tap.follow([...this.#tails.values()]);
    this.#options.broadcast(this.#message());
  }

  #message(): ToWorker {
    const tails = [...this.#tails.values()].map(({ id, filter, dataMaxBytes }) => ({
      id,
      filter,
      dataMaxBytes,
    }));
    return { type: 'tails', tails };
  }

  #pass(batches: readonly TailBatch[]): void {
    for (const { tail: id, lines, dropped } of batches) {
      const tail = this.#tails.get(id);
      if (tail === undefined) continue;
      if (this.#options.unsentBytes(tail.slot) > UNSENT_MAX_BYTES) {
        tail.dropped += lines.length + dropped;
        continue;
      }
      const all = dropped + tail.dropped;
      tail.dropped = 0;
      this.#options.send(tail.slot, { type: 'tailReceived', id: tail.localId, lines, dropped: all });
    }
  }
}
