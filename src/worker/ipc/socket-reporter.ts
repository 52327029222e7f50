import type { ToPrimary } from '../../shared/ipc/messages.ts';

/**
 * What the primary has to know of the sockets that it gave away, told at the end of each turn that brings any of it:
 * which were taken over (its own copies may go) or never came, how many clients ended, and which ids `?sid=` may name.
 */
export class SocketReport {
  readonly #send: (message: ToPrimary) => void;
  readonly #requestFlush: () => void;
  #taken: number[] = [];
  #passed = 0;
  #ended = 0;
  #opened: string[] = [];
  #closed: string[] = [];
  #requested = false;

  constructor(options: { send: (message: ToPrimary) => void; requestFlush: () => void }) {
    this.#send = options.send;
    this.#requestFlush = options.requestFlush;
  }

  taken(ticket: number): void {
    this.#taken.push(ticket);
    this.#request();
  }

  /** Sockets up to that ticket will not come any more, if they have not yet. */
  passed(ticket: number): void {
    this.#passed = ticket;
    this.#request();
  }

  ended(): void {
    this.#ended += 1;
    this.#request();
  }

  opened(id: string): void {
    this.#opened.push(id);
    this.#request();
  }

  closed(id: string): void {
    this.#closed.push(id);
    this.#request();
  }

  #request(): void {
    if (this.#requested) return;
    this.#requested = true;
    this.#requestFlush();
  }

  flush(): void {
    if (!this.#requested) return;
    this.#requested = false;
    this.#send({
      type: 'sockets',
      taken: this.#taken,
      passed: this.#passed,
      ended: this.#ended,
      opened: this.#opened,
      closed: this.#closed,
    });
    this.#taken = [];
    this.#ended = 0;
    this.#opened = [];
    this.#closed = [];
  }
}
