import type { ToPrimary } from '../../shared/ipc/messages.ts';

/**
 * What the primary has to know of the sockets that it gave away, told at the end of each turn that brings any of it:
 * which were taken over (its own copies may go) or never came, how many clients ended, and which ids `?sid=` may name.
 */
export class SocketReporter {
  readonly #send: (message: ToPrimary) => void;
  readonly #scheduleFlush: () => void;
  #acknowledged: number[] = [];
  #barrier = 0;
  #ended = 0;
  #opened: string[] = [];
  #closed: string[] = [];
  #scheduled = false;

  constructor(options: { send: (message: ToPrimary) => void; scheduleFlush: () => void }) {
    this.#send = options.send;
    this.#scheduleFlush = options.scheduleFlush;
  }

  acknowledge(handoffId: number): void {
    this.#acknowledged.push(handoffId);
    this.#schedule();
  }

  /** Sockets up to that ticket will not come any more, if they have not yet. */
  confirmBarrier(handoffId: number): void {
    this.#barrier = handoffId;
    this.#schedule();
  }

  countEnded(): void {
    this.#ended += 1;
    this.#schedule();
  }

  reportOpened(id: string): void {
    this.#opened.push(id);
    this.#schedule();
  }

  reportClosed(id: string): void {
    this.#closed.push(id);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#scheduleFlush();
  }

  flush(): void {
    if (!this.#scheduled) return;
    this.#scheduled = false;
    this.#send({
      type: 'sockets',
      acknowledged: this.#acknowledged,
      barrier: this.#barrier,
      ended: this.#ended,
      opened: this.#opened,
      closed: this.#closed,
    });
    this.#acknowledged = [];
    this.#ended = 0;
    this.#opened = [];
    this.#closed = [];
  }
}
