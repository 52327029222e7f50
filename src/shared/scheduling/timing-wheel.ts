const TICK_MS = 20;

/** Expires many items after delays, with one timer for all and no timer while it is empty. */
export class TimingWheel<Item> {
  readonly #onExpire: (item: Item) => void;
  /** Items by the tick at which they expire. */
  readonly #ticks = new Map<number, Set<Item>>();
  readonly #tickOf = new Map<Item, number>();
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { onExpire: (item: Item) => void }) {
    this.#onExpire = options.onExpire;
  }

  get size(): number {
    return this.#tickOf.size;
  }

  /** Calls `onExpire` with the item after `delayMs`, up to 20 ms late. The item must not be in the wheel already. */
  add(item: Item, delayMs: number): void {
    const tick = this.#tick + Math.max(1, Math.ceil(delayMs / TICK_MS));
    const items = this.#ticks.get(tick);
    if (items === undefined) this.#ticks.set(tick, new Set([item]));
    else items.add(item);
    this.#tickOf.set(item, tick);
    this.#timer ??= setInterval(this.#onTick, TICK_MS);
  }

  /** Removes the item, if present. */
  cancel(item: Item): void {
    const tick = this.#tickOf.get(item);
    if (tick === undefined) return;
    this.#tickOf.delete(item);
    this.#ticks.get(tick)?.delete(item);
    this.#stopIfEmpty();
  }

  /** Expires all items now. */
  flush(): void {
    while (this.size > 0) this.#onTick();
  }

  readonly #onTick = (): void => {
    this.#tick += 1;
    const items = this.#ticks.get(this.#tick) ?? [];
    this.#ticks.delete(this.#tick);
    for (const item of items) this.#tickOf.delete(item);
    this.#stopIfEmpty();
    for (const item of items) this.#onExpire(item);
  };

  #stopIfEmpty(): void {
    if (this.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
