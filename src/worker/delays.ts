const TICK_MS = 20;

/** Lets many things wait for a short while, with one timer for all of them and none while nothing waits. */
export class Delays<Item> {
  readonly #due: (item: Item) => void;
  /** What is due at each tick to come. */
  readonly #ticks = new Map<number, Item[]>();
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;
  #size = 0;

  constructor(options: { due: (item: Item) => void }) {
    this.#due = options.due;
  }

  get size(): number {
    return this.#size;
  }

  /** `due` is called with the item in `delayMs`, to some 20 ms. */
  add(item: Item, delayMs: number): void {
    const tick = this.#tick + Math.max(1, Math.ceil(delayMs / TICK_MS));
    const items = this.#ticks.get(tick);
    if (items === undefined) this.#ticks.set(tick, [item]);
    else items.push(item);
    this.#size += 1;
    this.#timer ??= setInterval(this.#onTick, TICK_MS);
  }

  /** Everything that waits is due now. */
  flush(): void {
    while (this.#size > 0) this.#onTick();
  }

  readonly #onTick = (): void => {
    this.#tick += 1;
    const items = this.#ticks.get(this.#tick) ?? [];
    this.#ticks.delete(this.#tick);
    this.#size -= items.length;
    if (this.#size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    for (const item of items) this.#due(item);
  };
}
