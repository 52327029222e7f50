import { expect } from 'chai';
import type { Connection } from '../../../src/worker/connection/connection.ts';
import { Rounds } from '../../../src/worker/hub/delivery-ring.ts';
import { type Frames, frameText } from '../../../src/worker/websocket/frame.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { makeConnection } from '../../support/transport.ts';

const STEPS = 120;
const SEEDS = 200;

/** Somebody in the circle: what was brought to it, and what it must have got, or may have, by what is promised. */
interface Somebody {
  readonly connection: Connection;
  readonly got: number[];
  writes: number;
  /** What is published from then on is for it. */
  from: number;
  /** Of what was published before, nothing is. */
  isFresh: boolean;
  /** What is published from then on is not, nor anything that had not come yet. */
  until: number;
  readonly excepted: Set<number>;
}

/** An audience, its rounds, and everything that happened in it. */
class Circle {
  readonly everybody: Somebody[] = [];
  readonly #present = new Map<Connection, Somebody>();
  #rounds: Rounds<Connection>;
  #published = 0;

  constructor(size: number) {
    for (let n = 0; n < size; n += 1) this.#seat(false);
    this.#rounds = new Rounds(this.#present.keys());
  }

  get present(): Somebody[] {
    return [...this.#present.values()];
  }

  get absent(): Somebody[] {
    return this.everybody.filter(({ connection }) => !this.#present.has(connection));
  }

  get isOver(): boolean {
    return this.#rounds.isOver;
  }

  publish({ except, bytes = 10 }: { except?: Somebody; bytes?: number } = {}): void {
    const number = this.#published;
    this.#published += 1;
    except?.excepted.add(number);
    this.#rounds.add(frameText(`${number} ${'x'.repeat(bytes)}`), except?.connection);
  }

  enter({ isFresh }: { isFresh: boolean }): void {
    const { connection } = this.#seat(isFresh);
    if (isFresh) this.#rounds.skip(connection);
    this.#rounds.enter(connection);
  }

  /** Somebody who left comes again. */
  reenter(somebody: Somebody): void {
    somebody.from = this.#published;
    somebody.isFresh = false;
    somebody.until = Number.POSITIVE_INFINITY;
    this.#present.set(somebody.connection, somebody);
    this.#rounds.enter(somebody.connection);
  }

  leave(somebody: Somebody): void {
    somebody.until = this.#published;
    this.#present.delete(somebody.connection);
    this.#rounds.leave(somebody.connection);
  }

  advance(most: number, { isAlone = true } = {}): number {
    const bring = (connection: Connection, frames: Frames): void => {
      const somebody = this.#present.get(connection);
      if (somebody === undefined) throw new Error('brought to somebody who has left');
      somebody.writes += 1;
      somebody.got.push(...frames.messages.map((message) => Number.parseInt(message.toString(), 10)));
    };
    return this.#rounds.advance(most, { outbox: { send: bring, post: bring }, isAlone }).seats;
  }

  finish(): void {
    for (let turns = 0; !this.isOver; turns += 1) {
      if (turns > 10_000) throw new Error('the rounds do not end');
      this.advance(7);
    }
  }

  /** Everything that was promised has come, once and in order, and nothing else. */
  check(): void {
    for (const { got, from, until, isFresh, excepted } of this.everybody) {
      expect(got, 'once, in order').to.deep.equal([...new Set(got)].sort((a, b) => a - b));
      expect(got.filter((number) => excepted.has(number) || number >= until)).to.deep.equal([]);
      if (isFresh) expect(got.filter((number) => number < from)).to.deep.equal([]);
      // Who left may have missed what was under way.
      if (until < Number.POSITIVE_INFINITY) continue;
      const due = Array.from({ length: this.#published - from }, (_, index) => from + index);
      expect(got.filter((number) => number >= from)).to.deep.equal(due.filter((one) => !excepted.has(one)));
    }
  }

  #seat(isFresh: boolean): Somebody {
    const somebody: Somebody = {
      connection: makeConnection().connection,
      got: [],
      writes: 0,
      from: this.#published ?? 0,
      isFresh,
      until: Number.POSITIVE_INFINITY,
      excepted: new Set(),
    };
    this.everybody.push(somebody);
    this.#present.set(somebody.connection, somebody);
    return somebody;
  }
}

describe('the rounds of an audience', () => {
  it('bring what is published together in one write', () => {
    const circle = new Circle(5);
    for (let n = 0; n < 10; n += 1) circle.publish();
    circle.finish();
    circle.check();
    expect(circle.everybody.map(({ writes }) => writes)).to.deep.equal([1, 1, 1, 1, 1]);
  });

  it('take in what is published on the way: only who was passed already gets a second write', () => {
    const circle = new Circle(10);
    circle.publish();
    circle.advance(3);
    circle.publish();
    circle.finish();
    circle.check();
    expect(circle.everybody.map(({ writes }) => writes)).to.deep.equal([2, 2, 2, 1, 1, 1, 1, 1, 1, 1]);
  });

  it('go on by as many seats as they were told to', () => {
    const circle = new Circle(10);
    circle.publish();
    expect(circle.advance(4)).to.equal(4);
    expect(circle.advance(100)).to.equal(6);
    expect(circle.isOver).to.equal(true);
  });

  it('take no more at once than makes a good write, unless it is one message', () => {
    const circle = new Circle(4);
    for (let n = 0; n < 3; n += 1) circle.publish({ bytes: 50_000 });
    circle.finish();
    circle.check();
    expect(circle.everybody.map(({ writes }) => writes)).to.deep.equal([3, 3, 3, 3]);
  });

  it('end where everybody has left', () => {
    const circle = new Circle(3);
    circle.publish();
    for (const somebody of circle.present) circle.leave(somebody);
    circle.finish();
    circle.check();
  });

  it('end where nobody ever was', () => {
    const circle = new Circle(0);
    circle.publish();
    circle.finish();
    expect(circle.isOver).to.equal(true);
  });

  it(`bring everything once and in order, whoever comes and goes (${SEEDS} seeds)`, () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const random = new SeededRandom(seed);
      const circle = new Circle(random.below(12));
      for (let step = 0; step < STEPS; step += 1) {
        const { present } = circle;
        const somebody = present.length > 0 ? random.pick(present) : undefined;
        const what = random.below(10);
        if (what < 3) circle.publish({ bytes: random.below(20) === 0 ? 60_000 : 10 });
        else if (what < 4) circle.publish({ ...(somebody && { except: somebody }) });
        else if (what < 5) circle.enter({ isFresh: random.below(2) === 0 });
        else if (what < 6 && somebody !== undefined) circle.leave(somebody);
        else if (what < 7 && circle.absent.length > 0) circle.reenter(random.pick(circle.absent));
        else circle.advance(1 + random.below(9), { isAlone: random.below(2) === 0 });
      }
      circle.finish();
      circle.check();
    }
  });
});
