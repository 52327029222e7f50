/** A burst that goes on coming is not waited for longer than this many turns of the loop. */
const MAX_TURNS = 4;

/**
 * The end of a turn of the event loop, when what was collected during it is sent: the busier the loop, the more leaves
 * in one write.
 */
export class Turn {
  readonly #steps: readonly (() => void)[];
  readonly #windowMs: number;
  readonly #isPatient: () => boolean;
  #requested = false;
  /** Something was added since the last look. */
  #grew = false;
  #turns = 0;
  #ending = false;

  /**
   * `steps` run in this order at the end of each requested turn; a step may request another turn. With
   * `windowMs` what comes within so many milliseconds of the first leaves together. What comes in a burst, from many
   * sockets, is often spread over neighbouring turns: while `isPatient` says so the end is put off until a turn has
   * brought nothing new. Where nothing else is to do, such a turn takes some microseconds.
   */
  constructor(
    steps: readonly (() => void)[],
    { windowMs = 0, isPatient = never }: { windowMs?: number; isPatient?: () => boolean } = {},
  ) {
    this.#steps = steps;
    this.#windowMs = windowMs;
    this.#isPatient = isPatient;
  }

  request(): void {
    // What a step leaves for later has waited already.
    this.#grew = !this.#ending;
    if (this.#requested) return;
    this.#requested = true;
    this.#turns = 0;
    if (this.#windowMs > 0 && !this.#ending) setTimeout(this.#look, this.#windowMs);
    else setImmediate(this.#look);
  }

  readonly #look = (): void => {
    if (this.#grew && this.#turns < MAX_TURNS && this.#isPatient()) {
      this.#grew = false;
      this.#turns += 1;
      setImmediate(this.#look);
      return;
    }
    this.#requested = false;
    this.#ending = true;
    for (const step of this.#steps) step();
    this.#ending = false;
  };
}

function never(): boolean {
  return false;
}
