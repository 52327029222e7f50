/** Most event-loop ticks for which a burst can delay a flush. */
const MAX_TICKS = 4;

/**
 * Runs flush steps at the end of an event-loop tick. The busier the loop, the more output one write contains.
 */
export class FlushScheduler {
  readonly #steps: readonly (() => void)[];
  readonly #windowMs: number;
  readonly #waitForMore: () => boolean;
  #scheduled = false;
  /** `schedule` was called since the last tick. */
  #grew = false;
  #ticks = 0;
  #isFlushing = false;

  /**
   * `steps` run in this order at the end of each scheduled tick; a step may schedule another. With `windowMs`, the flush
   * runs so many milliseconds after the first `schedule`. A burst from many sockets often spans several ticks: while
   * `waitForMore` returns true, the flush waits for a tick without a new `schedule`. An idle tick takes microseconds.
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
    // Work that a step deferred has already waited.
    this.#grew = !this.#isFlushing;
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#ticks = 0;
    if (this.#windowMs > 0 && !this.#isFlushing) setTimeout(this.#tick, this.#windowMs);
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
    this.#isFlushing = true;
    for (const step of this.#steps) step();
    this.#isFlushing = false;
  };
}

function never(): boolean {
  return false;
}
