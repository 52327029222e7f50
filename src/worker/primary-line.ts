import type { FromWorker, ToPrimary } from '../shared/ipc.ts';

/**
 * What this worker tells the primary. Each message of its own wakes the primary and costs as much as many messages in
 * one do, so what is told at the end of a turn is posted, and goes together.
 */
export class PrimaryLine {
  readonly #send: (message: FromWorker) => void;
  #posted: ToPrimary[] = [];

  constructor(send: (message: FromWorker) => void) {
    this.#send = send;
  }

  /** Tells at once, behind what was posted before. */
  readonly send = (message: ToPrimary): void => {
    this.#posted.push(message);
    this.flush();
  };

  /** Tells with the next `flush` or `send`. */
  readonly post = (message: ToPrimary): void => {
    this.#posted.push(message);
  };

  flush(): void {
    const [first, ...others] = this.#posted;
    if (first === undefined) return;
    this.#posted = [];
    this.#send(others.length === 0 ? first : { type: 'several', messages: [first, ...others] });
  }
}
