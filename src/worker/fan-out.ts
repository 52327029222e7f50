import type { Publication } from '../shared/publication.ts';
import type { Stats } from '../shared/stats.ts';
import type { Audience, Channel, Connection } from './connection.ts';
import { type Frames, frameText, joinFrames } from './frame.ts';
import type { Outbox } from './outbox.ts';

/** Writes in one turn, 2 to 7 us each: 1 ms, the longest that one fan-out delays everything else in this worker. */
const WRITES_PER_TURN = 128;
/** Writes before the next audience gets its share of the turn: a small channel never waits for a large one. */
const WRITES_PER_SHARE = 64;
/** Joining more than this into one write was measured to save nothing more. */
const BATCH_BYTES = 64 * 1024;

/**
 * Brings publications to the subscribers of a channel. A publication is framed once for each dialect; what is
 * published within a turn is joined, and leaves in one write per client. Order is kept per channel: an
 * audience gets one batch whole before the next is begun. Who joins or leaves in the middle of a batch may or
 * may not get the rest of it; whatever is published afterwards, surely.
 */
export class FanOut {
  readonly #outbox: Outbox;
  readonly #stats: Stats;
  readonly #requestFlush: () => void;
  #busy: Audience[] = [];

  constructor(options: { outbox: Outbox; stats: Stats; requestFlush: () => void }) {
    this.#outbox = options.outbox;
    this.#stats = options.stats;
    this.#requestFlush = options.requestFlush;
  }

  /** Whether everything that was published is written, or posted. */
  get isIdle(): boolean {
    return this.#busy.length === 0;
  }

  /** `except` is the one connection that does not get it. */
  publish(channel: Channel, publication: Publication, except?: Connection): void {
    for (const audience of channel.audiences) {
      if (audience.isQuiet) continue;
      const frames = frameText(audience.dialect.encode(publication));
      if (except !== undefined && audience.connections.has(except)) leaveOut(audience, frames, except);
      this.#add(audience, frames);
    }
    this.#requestFlush();
  }

  /** The same for one audience and a text that is no publication; in order with those. */
  announce(audience: Audience, text: string): void {
    this.#add(audience, frameText(text));
    this.#requestFlush();
  }

  /** A client that is new in an audience gets nothing of what was published before. */
  skipPast(audience: Audience, newcomer: Connection): void {
    if (audience.current !== undefined) leaveOut(audience, audience.current, newcomer);
    for (const frames of audience.waiting) leaveOut(audience, frames, newcomer);
  }

  #add(audience: Audience, frames: Frames): void {
    if (audience.current === undefined && audience.waiting.length === 0) this.#busy.push(audience);
    audience.waiting.push(frames);
    audience.waitingBytes += frames.bytes.length;
  }

  /** Writes for the length of a turn, in shares; what is left goes on in the next turn. */
  readonly flush = (): void => {
    let writes = WRITES_PER_TURN;
    while (writes > 0 && this.#busy.length > 0) {
      const audiences = this.#busy;
      this.#busy = [];
      // A client of several busy channels gets one write: then frames are posted, and joined by the outbox.
      const alone = audiences.length === 1;
      for (const audience of audiences) {
        if (writes > 0) writes -= this.#serve(audience, Math.min(writes, WRITES_PER_SHARE), alone);
        if (audience.current !== undefined || audience.waiting.length > 0) this.#busy.push(audience);
      }
    }
    if (this.#busy.length > 0) this.#requestFlush();
  };

  /** Brings an audience forward by at most `most` writes; answers how many it took. */
  #serve(audience: Audience, most: number, alone: boolean): number {
    const frames = audience.current ?? this.#beginBatch(audience);
    const remaining = audience.remaining;
    if (frames === undefined || remaining === undefined) return 0;
    if (audience.exceptions !== undefined) return this.#serveOthers(audience, frames, remaining, most);
    const outbox = this.#outbox;
    let writes = 0;
    for (; writes < most; writes += 1) {
      const next = remaining.next();
      if (next.done) {
        audience.current = undefined;
        audience.remaining = undefined;
        break;
      }
      if (alone) outbox.send(next.value, frames);
      else outbox.post(next.value, frames);
    }
    this.#stats.deliveries += writes * frames.messages.length;
    return writes;
  }

  /** As `#serve`, where somebody gets less than the others: what all of them get is still joined by the outbox. */
  #serveOthers(
    audience: Audience,
    frames: Frames,
    remaining: IterableIterator<Connection>,
    most: number,
  ): number {
    const except = audience.exceptions?.get(frames);
    let writes = 0;
    let skipped = 0;
    for (; writes < most; writes += 1) {
      const next = remaining.next();
      if (next.done) {
        audience.current = undefined;
        audience.remaining = undefined;
        audience.exceptions?.delete(frames);
        if (audience.exceptions?.size === 0) audience.exceptions = undefined;
        break;
      }
      if (except?.has(next.value)) skipped += 1;
      else this.#outbox.post(next.value, frames);
    }
    this.#stats.deliveries += (writes - skipped) * frames.messages.length;
    return writes;
  }

  #beginBatch(audience: Audience): Frames | undefined {
    if (audience.waiting.length === 0) return undefined;
    // When publishers outrun the worker, larger batches let it catch up.
    const mostBytes = Math.max(BATCH_BYTES, audience.waitingBytes / 4);
    let count = 0;
    let bytes = 0;
    for (const frames of audience.waiting) {
      // What somebody does not get goes alone.
      if (count > 0 && audience.exceptions?.has(frames)) break;
      if (count > 0 && bytes + frames.bytes.length > mostBytes) break;
      count += 1;
      bytes += frames.bytes.length;
      if (audience.exceptions?.has(frames)) break;
    }
    const batch = count === audience.waiting.length ? audience.waiting : audience.waiting.slice(0, count);
    audience.waiting = count === audience.waiting.length ? [] : audience.waiting.slice(count);
    audience.waitingBytes -= bytes;
    audience.current = joinFrames(batch);
    audience.remaining = audience.connections.values();
    return audience.current;
  }
}

function leaveOut(audience: Audience, frames: Frames, connection: Connection): void {
  audience.exceptions ??= new Map();
  const present = audience.exceptions.get(frames);
  if (present === undefined) audience.exceptions.set(frames, new Set([connection]));
  else present.add(connection);
}
