/** From this size on the map has an index. A smaller map is sorted when it is read. */
const INDEX_FROM = 1_000;
const BLOCK_MAX = 512;

/**
 * A map whose names can be read in order from any point without sorting all of them. A large map has an index: blocks of
 * sorted names. Deleted names stay in the index until they are half of it, so that `delete` needs no search.
 */
export class OrderedMap<Value> {
  readonly #entries = new Map<string, Value>();
  #blocks: string[][] | undefined;
  /** Names in the index, including deleted ones. */
  #indexed = 0;

  get size(): number {
    return this.#entries.size;
  }

  get(name: string): Value | undefined {
    return this.#entries.get(name);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  values(): IterableIterator<Value> {
    return this.#entries.values();
  }

  set(name: string, value: Value): void {
    const { size } = this.#entries;
    this.#entries.set(name, value);
    if (this.#entries.size === size) return;
    if (this.#blocks !== undefined) this.#insert(this.#blocks, name);
    else if (this.#entries.size >= INDEX_FROM) this.#buildIndex();
  }

  delete(name: string): void {
    this.#entries.delete(name);
  }

  /** Yields in order the names after `after` that begin with `prefix`. The map must not change until it returns. */
  *names({ prefix = '', after = '' }: { prefix?: string; after?: string }): Generator<string> {
    // Names with the prefix are adjacent, and none of them sorts before the prefix.
    for (const name of this.#from(after > prefix ? after : prefix)) {
      if (name === after) continue;
      if (!name.startsWith(prefix)) return;
      if (this.#entries.has(name)) yield name;
    }
  }

  *#from(first: string): Generator<string> {
    this.#compact();
    if (this.#blocks === undefined) {
      yield* [...this.#entries.keys()].filter((name) => name >= first).sort(byCodeUnits);
      return;
    }
    let at = blockOf(this.#blocks, first);
    let position = positionIn(this.#blocks[at] ?? [], first);
    for (; at < this.#blocks.length; at += 1) {
      const block = this.#blocks[at] ?? [];
      for (; position < block.length; position += 1) yield block[position] as string;
      position = 0;
    }
  }

  #insert(blocks: string[][], name: string): void {
    const at = blockOf(blocks, name);
    const block = blocks[at];
    if (block === undefined) {
      blocks.push([name]);
      this.#indexed += 1;
      return;
    }
    const position = positionIn(block, name);
    // A deleted name that is still in the index.
    if (block[position] === name) return;
    block.splice(position, 0, name);
    this.#indexed += 1;
    if (block.length > BLOCK_MAX) blocks.splice(at + 1, 0, block.splice(BLOCK_MAX / 2));
    this.#compact();
  }

  /** Removes deleted names from the index when they are half of it, and the index of a map that became small. */
  #compact(): void {
    if (this.#blocks === undefined || this.#indexed < 2 * Math.max(this.#entries.size, INDEX_FROM / 4))
      return;
    if (this.#entries.size < INDEX_FROM / 2) {
      this.#blocks = undefined;
      return;
    }
    const kept = this.#blocks.map((block) => block.filter((name) => this.#entries.has(name)));
    this.#blocks = kept.filter((block) => block.length > 0);
    this.#indexed = this.#entries.size;
  }

  #buildIndex(): void {
    const names = [...this.#entries.keys()].sort(byCodeUnits);
    const blocks: string[][] = [];
    for (let at = 0; at < names.length; at += BLOCK_MAX / 2) blocks.push(names.slice(at, at + BLOCK_MAX / 2));
    this.#blocks = blocks;
    this.#indexed = names.length;
  }
}

function byCodeUnits(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Returns the block for a name: the last one that begins at or before it, otherwise the first. */
function blockOf(blocks: readonly string[][], name: string): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((blocks[middle]?.[0] as string) <= name) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** Returns the position of the name, or of the first name after it. */
function positionIn(block: readonly string[], name: string): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((block[middle] as string) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
