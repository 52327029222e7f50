import { type Frames, joinFrames } from '../websocket/frame.ts';

/** Measured: joining more bytes than this into one write saves no time. */
const BATCH_BYTES = 64 * 1024;

/** When a publication was accepted, in ms of `hostNow`: by this host, or, if elsewhere, when this worker received it. */
export interface Acceptance<Connection = never> {
  readonly origin: 'host' | 'elsewhere';
  readonly at: number;
  /** Receives each connection that was served, for a delivery report. */
  readonly tracked?: { visit(connection: Connection): void; endGroup(): void } | undefined;
  /** Its span, if it is traced. */
  readonly span?: { endGroup(): void } | undefined;
}

/** Published frames, and the connections that must not receive them. */
interface Published<Connection> {
  readonly frames: Frames;
  /** Of the publications among the frames. */
  readonly acceptances: readonly Acceptance<Connection>[];
  /** Whether any of them is tracked. */
  readonly isTracked: boolean;
  except: Set<Connection> | undefined;
}

/** Frames on their way around the ring. */
interface Batch<Connection> extends Published<Connection> {
  /** Slots that it has not reached yet. */
  slotsLeft: number;
}

/** Where the ring writes to: now, or joined with other frames at the end of the turn. */
export interface DeliverySink<Connection> {
  sendNow(connection: Connection, frames: Frames): void;
  enqueue(connection: Connection, frames: Frames): void;
}

const NONE: readonly Acceptance[] = [];

/**
 * Visits the subscribers of a group in a fixed circular order, and sends each one every batch in progress in a
 * single write. A batch that is published while others are in progress starts at the current position and ends
 * after one full circle:
 *
 *            position
 *               v
 *     slots: A  B  C  D  E          batch 1 started at A: B, C, D, E are left
 *            ^--- batch 2 ----->    batch 2 starts at B:  B, C, D, E, then A
 *
 * A publication never waits for the end of another one, and a burst costs hardly more writes than its first
 * message. Each connection receives every publication once, in the order of publishing.
 */
export class DeliveryRing<Connection> {
  readonly #slots: Connection[];
  readonly #onDelivered: (acceptances: readonly Acceptance<Connection>[]) => void;
  /** Connections that left. Their slots stay until the ring is dropped. */
  #left: Set<Connection> | undefined = undefined;
  #position = 0;
  /** In progress, ordered by remaining slots: the first one ends first. */
  readonly #batches: Batch<Connection>[] = [];
  /** The frames of all batches in progress as one write, until a batch starts or ends. */
  #joinedFrames: Frames | undefined = undefined;
  readonly #waiting: Published<Connection>[] = [];
  #waitingBytes = 0;

  /** `onDelivered` is called after the last subscriber of these publications was served. */
  constructor(
    connections: Iterable<Connection>,
    onDelivered: (acceptances: readonly Acceptance<Connection>[]) => void,
  ) {
    this.#slots = [...connections];
    this.#onDelivered = onDelivered;
  }

  /** Whether every connection has received everything. */
  get isEmpty(): boolean {
    return this.#batches.length === 0 && this.#waiting.length === 0;
  }

  /** Adds frames for every connection but `except`. */
  add(frames: Frames, except: Connection | undefined, acceptance?: Acceptance<Connection>): void {
    this.#waiting.push({
      frames,
      acceptances: acceptance === undefined ? NONE : [acceptance],
      isTracked: acceptance?.tracked !== undefined,
      except: except === undefined ? undefined : new Set([except]),
    });
    this.#waitingBytes += frames.bytes.length;
  }

  /** Adds a connection. It receives everything added from now on, and possibly what is in progress. */
  enter(connection: Connection): void {
    if (this.#left?.delete(connection)) return;
    const untilEnd = this.#slots.length - this.#position;
    // A batch that has not passed the last slot yet will visit the new slot too.
    for (const batch of this.#batches) if (batch.slotsLeft > untilEnd) batch.slotsLeft += 1;
    this.#slots.push(connection);
  }

  /** Removes a connection: it receives nothing more. */
  leave(connection: Connection): void {
    this.#left ??= new Set();
    this.#left.add(connection);
  }

  /** Excludes a connection from everything that was added before. */
  skip(connection: Connection): void {
    for (const published of [...this.#batches, ...this.#waiting]) {
      published.except ??= new Set();
      published.except.add(connection);
    }
  }

  /**
   * Serves at most `maxSlots` slots and returns how many it served. With `isAlone`, writes frames now instead of at the end
   * of the turn.
   */
  advance(maxSlots: number, sink: DeliverySink<Connection>, isAlone: boolean): number {
    this.#startBatches();
    let slots = 0;
    for (let [first] = this.#batches; first !== undefined && slots < maxSlots; [first] = this.#batches) {
      const count = Math.min(maxSlots - slots, first.slotsLeft, this.#slots.length - this.#position);
      this.#deliver(this.#position, this.#position + count, sink, isAlone);
      if (this.#batches.some(({ isTracked }) => isTracked))
        this.#track(this.#position, this.#position + count);
      this.#advancePosition(count);
      slots += count;
    }
    return slots;
  }

  /** Starts as many waiting publications as fit into one write. */
  #startBatches(): void {
    if (this.#waiting.length === 0) return;
    // When publishers outrun the worker, larger batches let it catch up.
    const maxBytes = Math.max(BATCH_BYTES, this.#waitingBytes / 4);
    let bytes = this.#batches.reduce((sum, { frames }) => sum + frames.bytes.length, 0);
    let count = 0;
    for (const { frames } of this.#waiting) {
      if (bytes > 0 && bytes + frames.bytes.length > maxBytes) break;
      bytes += frames.bytes.length;
      this.#waitingBytes -= frames.bytes.length;
      count += 1;
    }
    const slotsLeft = this.#slots.length;
    for (const published of coalesce(this.#waiting.splice(0, count))) {
      this.#batches.push({ ...published, slotsLeft });
    }
    if (count > 0) this.#joinedFrames = undefined;
  }

  /** Sends all batches in progress to the connections of some slots. */
  #deliver(from: number, to: number, sink: DeliverySink<Connection>, isAlone: boolean): void {
    if (this.#batches.some(({ except }) => except !== undefined)) {
      this.#deliverApart(from, to, sink);
      return;
    }
    this.#joinedFrames ??= joinFrames(this.#batches.map(({ frames }) => frames));
    const joined = this.#joinedFrames;
    const left = this.#left;
    for (let slot = from; slot < to; slot += 1) {
      const connection = this.#slots[slot] as Connection;
      if (left?.has(connection)) continue;
      if (isAlone) sink.sendNow(connection, joined);
      else sink.enqueue(connection, joined);
    }
  }

  /** The same if a batch excludes connections: enqueues the batches one by one, and the send queue joins them. */
  #deliverApart(from: number, to: number, sink: DeliverySink<Connection>): void {
    for (let slot = from; slot < to; slot += 1) {
      const connection = this.#slots[slot] as Connection;
      if (this.#left?.has(connection)) continue;
      for (const { frames, except } of this.#batches) {
        if (except?.has(connection) !== true) sink.enqueue(connection, frames);
      }
    }
  }

  /** Passes the connections of some slots to the tracked deliveries among the batches. */
  #track(from: number, to: number): void {
    for (const { acceptances, except } of this.#batches) {
      for (const { tracked } of acceptances) {
        if (tracked === undefined) continue;
        for (const connection of this.#slots.slice(from, to)) {
          const isServed = this.#left?.has(connection) !== true && except?.has(connection) !== true;
          if (isServed) tracked.visit(connection);
        }
      }
    }
  }

  #advancePosition(count: number): void {
    this.#position += count;
    if (this.#position === this.#slots.length) this.#position = 0;
    for (const batch of this.#batches) batch.slotsLeft -= count;
    for (let [first] = this.#batches; first?.slotsLeft === 0; [first] = this.#batches) {
      this.#onDelivered(first.acceptances);
      this.#batches.shift();
      this.#joinedFrames = undefined;
    }
  }
}

/** Joins neighbouring publications that exclude no connection. */
function coalesce<Connection>(list: readonly Published<Connection>[]): Published<Connection>[] {
  const runs: Published<Connection>[][] = [];
  for (const published of list) {
    const run = runs.at(-1);
    const isForAll = published.except === undefined && run?.[0]?.except === undefined;
    if (run !== undefined && isForAll) run.push(published);
    else runs.push([published]);
  }
  return runs.map((run) => {
    const [first] = run;
    if (run.length === 1 && first !== undefined) return first;
    return {
      frames: joinFrames(run.map(({ frames }) => frames)),
      acceptances: run.flatMap(({ acceptances }) => acceptances),
      isTracked: run.some(({ isTracked }) => isTracked),
      except: first?.except,
    };
  });
}
