import { type Frames, joinFrames } from '../websocket/frame.ts';

/** Joining more than this into one write was measured to save nothing more. */
const BATCH_BYTES = 64 * 1024;

/** Something published, and who is here and does not get it. */
interface Published<Connection> {
  readonly frames: Frames;
  except: Set<Connection> | undefined;
}

/** What was published at one moment, on its way. */
interface Round<Connection> extends Published<Connection> {
  /** How many seats it has still to pass. */
  left: number;
}

/** Who takes what is brought, and how: at once, or to be joined with more at the end of the turn. */
export interface Bringer<Connection> {
  readonly outbox: {
    send(connection: Connection, frames: Frames): void;
    post(connection: Connection, frames: Frames): void;
  };
  readonly isAlone: boolean;
}

/** How far something got on. */
export interface Progress {
  readonly seats: number;
  readonly deliveries: number;
}

/**
 * The way of publications through an audience. Its connections sit in a circle, and whoever is next gets all that is
 * under way, in one write. What is published meanwhile gets on where the circle has got to, and is under way until it
 * has been once round. So it waits for no end of a round, and what comes soon after something else costs hardly a
 * write more. Each connection gets everything once, in the order of publishing.
 */
export class Rounds<Connection> {
  readonly #seats: Connection[];
  /** Who has left; their seats stay. */
  #gone: Set<Connection> | undefined = undefined;
  #next = 0;
  /** Under way: the one with the fewest seats left first. */
  readonly #rounds: Round<Connection>[] = [];
  /** All that is under way as one, until that changes. */
  #joined: Frames | undefined = undefined;
  readonly #waiting: Published<Connection>[] = [];
  #waitingBytes = 0;

  constructor(connections: Iterable<Connection>) {
    this.#seats = [...connections];
  }

  /** Whether everything has been brought to everybody. */
  get isOver(): boolean {
    return this.#rounds.length === 0 && this.#waiting.length === 0;
  }

  /** `except` is the one connection that does not get it. */
  add(frames: Frames, except: Connection | undefined): void {
    this.#waiting.push({ frames, except: except === undefined ? undefined : new Set([except]) });
    this.#waitingBytes += frames.bytes.length;
  }

  /** Somebody is new, and gets whatever is added from now on; of what is there already perhaps a part. */
  enter(connection: Connection): void {
    if (this.#gone?.delete(connection)) return;
    const untilEnd = this.#seats.length - this.#next;
    // Who has not passed the end yet will find one seat more before it.
    for (const round of this.#rounds) if (round.left > untilEnd) round.left += 1;
    this.#seats.push(connection);
  }

  /** Somebody gets nothing more. */
  leave(connection: Connection): void {
    this.#gone ??= new Set();
    this.#gone.add(connection);
  }

  /** Nothing that is there already is for this connection. */
  skip(connection: Connection): void {
    for (const published of [...this.#rounds, ...this.#waiting]) {
      published.except ??= new Set();
      published.except.add(connection);
    }
  }

  /** Goes on by at most so many seats. */
  advance(most: number, bringer: Bringer<Connection>): Progress {
    this.#board();
    let seats = 0;
    let deliveries = 0;
    for (let [first] = this.#rounds; first !== undefined && seats < most; [first] = this.#rounds) {
      const count = Math.min(most - seats, first.left, this.#seats.length - this.#next);
      deliveries += this.#bring(this.#next, this.#next + count, bringer);
      this.#pass(count);
      seats += count;
    }
    return { seats, deliveries };
  }

  /** Lets get on what there is room for. */
  #board(): void {
    if (this.#waiting.length === 0) return;
    // When publishers outrun the worker, larger batches let it catch up.
    const mostBytes = Math.max(BATCH_BYTES, this.#waitingBytes / 4);
    let bytes = this.#rounds.reduce((sum, { frames }) => sum + frames.bytes.length, 0);
    let count = 0;
    for (const { frames } of this.#waiting) {
      if (bytes > 0 && bytes + frames.bytes.length > mostBytes) break;
      bytes += frames.bytes.length;
      this.#waitingBytes -= frames.bytes.length;
      count += 1;
    }
    const left = this.#seats.length;
    for (const published of joined(this.#waiting.splice(0, count))) this.#rounds.push({ ...published, left });
    if (count > 0) this.#joined = undefined;
  }

  /** Brings all that is under way to the connections of some seats; answers how many messages that were. */
  #bring(from: number, to: number, { outbox, isAlone }: Bringer<Connection>): number {
    if (this.#rounds.some(({ except }) => except !== undefined)) return this.#bringApart(from, to, outbox);
    this.#joined ??= joinFrames(this.#rounds.map(({ frames }) => frames));
    const all = this.#joined;
    const gone = this.#gone;
    let missing = 0;
    for (let seat = from; seat < to; seat += 1) {
      const connection = this.#seats[seat] as Connection;
      if (gone?.has(connection)) missing += 1;
      else if (isAlone) outbox.send(connection, all);
      else outbox.post(connection, all);
    }
    return (to - from - missing) * all.messages.length;
  }

  /** The same where somebody gets less than the others: what all of them get is still joined by the outbox. */
  #bringApart(from: number, to: number, outbox: Bringer<Connection>['outbox']): number {
    let deliveries = 0;
    for (let seat = from; seat < to; seat += 1) {
      const connection = this.#seats[seat] as Connection;
      if (this.#gone?.has(connection)) continue;
      for (const { frames, except } of this.#rounds) {
        if (except?.has(connection)) continue;
        outbox.post(connection, frames);
        deliveries += frames.messages.length;
      }
    }
    return deliveries;
  }

  #pass(count: number): void {
    this.#next += count;
    if (this.#next === this.#seats.length) this.#next = 0;
    for (const round of this.#rounds) round.left -= count;
    while (this.#rounds[0]?.left === 0) {
      this.#rounds.shift();
      this.#joined = undefined;
    }
  }
}

/** Joins neighbours that everybody gets. */
function joined<Connection>(list: readonly Published<Connection>[]): Published<Connection>[] {
  const runs: Published<Connection>[][] = [];
  for (const published of list) {
    const run = runs.at(-1);
    const isForAll = published.except === undefined && run?.[0]?.except === undefined;
    if (run !== undefined && isForAll) run.push(published);
    else runs.push([published]);
  }
  return runs.map((run) => ({ frames: joinFrames(run.map(({ frames }) => frames)), except: run[0]?.except }));
}
