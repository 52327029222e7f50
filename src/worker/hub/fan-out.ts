import type { Publication } from '../../shared/model/publication.ts';
import type { Stats } from '../../shared/stats.ts';
import type { Audience, Channel, Connection } from '../connection/connection.ts';
import type { Outbox } from '../connection/send-queue.ts';
import { type Frames, frameText } from '../websocket/frame.ts';
import { type Bringer, Rounds } from './delivery-ring.ts';

/** Writes in one turn, 2 to 7 us each: 1 ms, the longest that one fan-out delays everything else in this worker. */
const WRITES_PER_TURN = 128;
/** Writes before the next audience gets its share of the turn: a small channel never waits for a large one. */
const WRITES_PER_SHARE = 64;

/**
 * Brings publications to the subscribers of a channel. A publication is framed once for each dialect; what is
 * published within a turn is joined, and leaves in one write per client; what is published while a large audience is being
 * served joins in (`Rounds`). Order is kept per channel. Who joins in the middle may or may not get what was published
 * before; whatever is published afterwards, surely.
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
      const leavesOut = except !== undefined && audience.connections.has(except);
      this.#add(audience, frameText(audience.dialect.encode(publication)), leavesOut ? except : undefined);
    }
    this.#requestFlush();
  }

  /** The same for one audience and a text that is no publication; in order with those. */
  announce(audience: Audience, text: string): void {
    this.#add(audience, frameText(text));
    this.#requestFlush();
  }

  /** A client is new in an audience: what is published from now on is for it too. */
  enter(audience: Audience, newcomer: Connection): void {
    audience.rounds?.enter(newcomer);
  }

  /** The same, and nothing that was published before is. */
  enterAfresh(audience: Audience, newcomer: Connection): void {
    audience.rounds?.skip(newcomer);
    audience.rounds?.enter(newcomer);
  }

  /** A client of an audience gets nothing more. */
  leave(audience: Audience, leaver: Connection): void {
    audience.rounds?.leave(leaver);
  }

  #add(audience: Audience, frames: Frames, except?: Connection): void {
    if (audience.rounds === undefined) {
      audience.rounds = new Rounds(audience.connections);
      this.#busy.push(audience);
    }
    audience.rounds.add(frames, except);
  }

  /** Writes for the length of a turn, in shares; what is left goes on in the next turn. */
  readonly flush = (): void => {
    let writes = WRITES_PER_TURN;
    while (writes > 0 && this.#busy.length > 0) {
      const audiences = this.#busy;
      this.#busy = [];
      // A client of several busy channels gets one write: then frames are posted, and joined by the outbox.
      const bringer = { outbox: this.#outbox, isAlone: audiences.length === 1 };
      for (const audience of audiences) {
        if (writes > 0) writes -= this.#serve(audience, Math.min(writes, WRITES_PER_SHARE), bringer);
        if (audience.rounds !== undefined) this.#busy.push(audience);
      }
    }
    if (this.#busy.length > 0) this.#requestFlush();
  };

  /** Brings an audience forward by at most `most` writes; answers how many it took. */
  #serve(audience: Audience, most: number, bringer: Bringer<Connection>): number {
    const { rounds } = audience;
    if (rounds === undefined) return 0;
    const { seats, deliveries } = rounds.advance(most, bringer);
    this.#stats.deliveries += deliveries;
    if (rounds.isOver) audience.rounds = undefined;
    return seats;
  }
}
