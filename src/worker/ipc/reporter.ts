import type { ToPrimary } from '../../shared/ipc/messages.ts';

export interface ReporterOptions {
  readonly send: (message: ToPrimary) => void;
  /** Makes the flush cycle call `flush` at the end of this turn of the event loop. */
  readonly scheduleFlush: () => void;
}

/** Collects reports during a turn of the event loop and sends them to the primary at its end. */
export abstract class Reporter {
  readonly #options: ReporterOptions;
  #isScheduled = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Sends what was reported since the last flush. */
  flush(): void {
    if (!this.#isScheduled) return;
    this.#isScheduled = false;
    for (const message of this.takeMessages()) this.#options.send(message);
  }

  protected schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.scheduleFlush();
  }

  /** Returns the collected reports as messages and clears the collection. */
  protected abstract takeMessages(): readonly ToPrimary[];
}
