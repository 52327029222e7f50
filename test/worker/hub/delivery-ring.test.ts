import { expect } from 'chai';
import type { Connection } from '../../../src/worker/connection/connection.ts';
import { type Acceptance, DeliveryRing } from '../../../src/worker/hub/delivery-ring.ts';
import { type Frames, frameText } from '../../../src/worker/websocket/frame.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { makeConnection } from '../../support/transport.ts';

const STEPS = 120;
const SEEDS = 200;

/** A subscriber, what it received, and what it must or may have received. */
interface Subscriber {
  readonly connection: Connection;
  readonly got: number[];
  writes: number;
  /** The first publication that it must get. */
  from: number;
  /** It must not get anything published before. */
  isFresh: boolean;
  /** The first publication that it must not get, because it left. */
  until: number;
  readonly excepted: Set<number>;
}

/** A ring of subscribers, and everything that happened in it. */
class Scenario {
  readonly subscribers: Subscriber[] = [];
  /** The acceptances of publications that every subscriber got. */
  readonly delivered: Acceptance[] = [];
  readonly #present = new Map<Connection, Subscriber>();
  #ring: DeliveryRing<Connection>;
  #published = 0;

  constructor(size: number) {
    for (let n = 0; n < size; n += 1) this.#addSubscriber(false);
    this.#ring = new DeliveryRing(this.#present.keys(), (acceptances) => this.delivered.push(...acceptances));
  }

  get present(): Subscriber[] {
    return [...this.#present.values()];
  }

  get absent(): Subscriber[] {
    return this.subscribers.filter(({ connection }) => !this.#present.has(connection));
  }

  get isEmpty(): boolean {
    return this.#ring.isEmpty;
  }

  publish({ except, bytes = 10 }: { except?: Subscriber; bytes?: number } = {}): void {
    const number = this.#published;
    this.#published += 1;
    except?.excepted.add(number);
    const acceptance = { origin: 'host', at: number } as const;
    this.#ring.add(frameText(`${number} ${'x'.repeat(bytes)}`), except?.connection, acceptance);
  }

  enter({ isFresh }: { isFresh: boolean }): void {
    const { connection } = this.#addSubscriber(isFresh);
    if (isFresh) this.#ring.skip(connection);
    this.#ring.enter(connection);
  }

  reenter(subscriber: Subscriber): void {
    subscriber.from = this.#published;
    subscriber.isFresh = false;
    subscriber.until = Number.POSITIVE_INFINITY;
    this.#present.set(subscriber.connection, subscriber);
    this.#ring.enter(subscriber.connection);
  }

  leave(subscriber: Subscriber): void {
    subscriber.until = this.#published;
    this.#present.delete(subscriber.connection);
    this.#ring.leave(subscriber.connection);
  }

  advance(maxSlots: number, { isAlone = true } = {}): number {
    const deliver = (connection: Connection, frames: Frames): void => {
      const subscriber = this.#present.get(connection);
      if (subscriber === undefined) throw new Error('delivered to a subscriber that has left');
      subscriber.writes += 1;
      subscriber.got.push(...frames.messages.map((message) => Number.parseInt(message.toString(), 10)));
    };
    return this.#ring.advance(maxSlots, { sendNow: deliver, enqueue: deliver }, isAlone);
  }

  finish(): void {
    for (let turns = 0; !this.isEmpty; turns += 1) {
      if (turns > 10_000) throw new Error('the ring never becomes empty');
      this.advance(7);
    }
    const numbers = this.delivered.map(({ at }) => at).sort((one, other) => one - other);
    expect(numbers, 'each publication ends once').to.deep.equal([...Array(this.#published).keys()]);
  }

  /** Every subscriber got what it must get, once and in order, and nothing else. */
  check(): void {
    for (const { got, from, until, isFresh, excepted } of this.subscribers) {
      expect(got, 'once, in order').to.deep.equal([...new Set(got)].sort((a, b) => a - b));
      expect(got.filter((number) => excepted.has(number) || number >= until)).to.deep.equal([]);
      if (isFresh) expect(got.filter((number) => number < from)).to.deep.equal([]);
      // A subscriber that left may have missed what was in progress.
      if (until < Number.POSITIVE_INFINITY) continue;
      const due = Array.from({ length: this.#published - from }, (_, index) => from + index);
      expect(got.filter((number) => number >= from)).to.deep.equal(due.filter((one) => !excepted.has(one)));
    }
  }

  #addSubscriber(isFresh: boolean): Subscriber {
    const subscriber: Subscriber = {
      connection: makeConnection().connection,
      got: [],
      writes: 0,
      from: this.#published ?? 0,
      isFresh,
      until: Number.POSITIVE_INFINITY,
      excepted: new Set(),
    };
    this.subscribers.push(subscriber);
    this.#present.set(subscriber.connection, subscriber);
    return subscriber;
  }
}

describe('DeliveryRing', () => {
  it('sends everything that is published together in one write', () => {
    const scenario = new Scenario(5);
    for (let n = 0; n < 10; n += 1) scenario.publish();
    scenario.finish();
    scenario.check();
    expect(scenario.subscribers.map(({ writes }) => writes)).to.deep.equal([1, 1, 1, 1, 1]);
  });

  it('adds publications to the delivery in progress: only subscribers already passed get a second write', () => {
    const scenario = new Scenario(10);
    scenario.publish();
    scenario.advance(3);
    scenario.publish();
    scenario.finish();
    scenario.check();
    expect(scenario.subscribers.map(({ writes }) => writes)).to.deep.equal([2, 2, 2, 1, 1, 1, 1, 1, 1, 1]);
  });

  it('advances by at most the given number of slots', () => {
    const scenario = new Scenario(10);
    scenario.publish();
    expect(scenario.advance(4)).to.equal(4);
    expect(scenario.advance(100)).to.equal(6);
    expect(scenario.isEmpty).to.equal(true);
  });

  it('limits a write to one batch, unless a single message is larger', () => {
    const scenario = new Scenario(4);
    for (let n = 0; n < 3; n += 1) scenario.publish({ bytes: 50_000 });
    scenario.finish();
    scenario.check();
    expect(scenario.subscribers.map(({ writes }) => writes)).to.deep.equal([3, 3, 3, 3]);
  });

  it('becomes empty when all subscribers have left', () => {
    const scenario = new Scenario(3);
    scenario.publish();
    for (const subscriber of scenario.present) scenario.leave(subscriber);
    scenario.finish();
    scenario.check();
  });

  it('becomes empty without subscribers', () => {
    const scenario = new Scenario(0);
    scenario.publish();
    scenario.finish();
    expect(scenario.isEmpty).to.equal(true);
  });

  it(`delivers everything once and in order while subscribers enter and leave (${SEEDS} seeds)`, () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const random = new SeededRandom(seed);
      const scenario = new Scenario(random.below(12));
      for (let step = 0; step < STEPS; step += 1) {
        const { present } = scenario;
        const subscriber = present.length > 0 ? random.pick(present) : undefined;
        const what = random.below(10);
        if (what < 3) scenario.publish({ bytes: random.below(20) === 0 ? 60_000 : 10 });
        else if (what < 4) scenario.publish({ ...(subscriber && { except: subscriber }) });
        else if (what < 5) scenario.enter({ isFresh: random.below(2) === 0 });
        else if (what < 6 && subscriber !== undefined) scenario.leave(subscriber);
        else if (what < 7 && scenario.absent.length > 0) scenario.reenter(random.pick(scenario.absent));
        else scenario.advance(1 + random.below(9), { isAlone: random.below(2) === 0 });
      }
      scenario.finish();
      scenario.check();
    }
  });
});
