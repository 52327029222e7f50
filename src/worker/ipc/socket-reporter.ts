import type { ToPrimary } from '../../shared/ipc/messages.ts';
import { Reporter } from './reporter.ts';

/**
 * Reports on the sockets that the primary handed off: which arrived (the primary then closes its own copies), which
 * were lost, how many closed, and which connection ids `?sid=` may name.
 */
export class SocketReporter extends Reporter {
  #acknowledged: number[] = [];
  #barrier = 0;
  #ended: number[] = [];
  #opened: string[] = [];
  #closed: string[] = [];

  acknowledge(handoffId: number): void {
    this.#acknowledged.push(handoffId);
    this.schedule();
  }

  /** Confirms that no socket with this handoff id or a lower one arrives after this report. */
  confirmBarrier(handoffId: number): void {
    this.#barrier = handoffId;
    this.schedule();
  }

  reportEnded(handoffId: number): void {
    this.#ended.push(handoffId);
    this.schedule();
  }

  reportOpened(id: string): void {
    this.#opened.push(id);
    this.schedule();
  }

  reportClosed(id: string): void {
    this.#closed.push(id);
    this.schedule();
  }

  protected takeMessages(): ToPrimary[] {
    const message: ToPrimary = {
      type: 'sockets',
      acknowledged: this.#acknowledged,
      barrier: this.#barrier,
      ended: this.#ended,
      opened: this.#opened,
      closed: this.#closed,
    };
    this.#acknowledged = [];
    this.#ended = [];
    this.#opened = [];
    this.#closed = [];
    return [message];
  }
}
