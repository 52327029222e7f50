/** A burst that goes on coming is not waited for longer than this many turns of the loop. */
const MAX_TICKS = 4;

/**
 * The end of a turn of the event loop, when what was collected during it is sent: the busier the loop, the more leaves
 * in one write.
 */
export class FlushScheduler {
  readonly #steps: readonly (() => void)[];
  readonly #windowMs: number;
  readonly #waitForMore: () => boolean;
  #scheduled = false;
  /** Something was added since the last look. */
  #grew = false;
  #ticks = 0;
  #ending = false;

  /**
   * `steps` run in this order at the end of each requested turn; a step may request another turn. With
   * `windowMs` what comes within so many milliseconds of the first leaves together. What comes in a burst, from many
   * sockets, is often spread over neighbouring turns: while `waitForMore` says so the end is put off until a turn has
   * brought nothing new. Where nothing else is to do, such a turn takes some microseconds.
   */
  constructor(
    steps: readonly (() => void)[],
    { windowMs = 0, waitForMore = never }: { windowMs?: number; waitForMore?: () => boolean } = {},
  ) {
    this.#steps = steps;
    this.#windowMs = windowMs;
    this.#waitForMore = waitForMore;
  }

  schedule(): void {
    // What a step leaves for later has waited already.
    this.#grew = !this.#ending;
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#ticks = 0;
    if (this.#windowMs > 0 && !this.#ending) setTimeout(this.#tick, this.#windowMs);
    else setImmediate(this.#tick);
  }

  readonly #tick = (): void => {
    if (this.#grew && this.#ticks < MAX_TICKS && this.#waitForMore()) {
      this.#grew = false;
      this.#ticks += 1;
      setImmediate(this.#tick);
      return;
    }
    this.#scheduled = false;
    this.#ending = true;
    for (const step of this.#steps) step();
    this.#ending = false;
  };
}

function never(): boolean {
  return false;
}
