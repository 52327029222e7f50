/**
 * The end of a turn of the event loop, when what was collected during it is sent. All input that the loop
 * found ready comes first, so the busier the worker, the more leaves in one write.
 */
export class Turn {
  readonly #steps: readonly (() => void)[];
  #requested = false;

  /** `steps` run in this order at the end of each requested turn; a step may request another turn. */
  constructor(steps: readonly (() => void)[]) {
    this.#steps = steps;
  }

  request(): void {
    if (this.#requested) return;
    this.#requested = true;
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    this.#requested = false;
    for (const step of this.#steps) step();
  };
}
