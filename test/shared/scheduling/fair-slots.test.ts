import { expect } from 'chai';
import { FairSlots, type SlotRequest } from '../../../src/shared/scheduling/fair-slots.ts';

describe('FairSlots', () => {
  let started: string[];
  const limits = { slotsMax: 8, slotsPerKeyMax: 3, queuedMax: 20, queuedPerKeyMax: 4 };

  beforeEach(() => {
    started = [];
  });

  function requests(slots: FairSlots, key: string, count: number): (SlotRequest | undefined)[] {
    return Array.from({ length: count }, () => slots.request(key, () => started.push(key)));
  }

  it('assigns a key no more slots than a key may use, and queues a bounded number of its requests', () => {
    const slots = new FairSlots(limits);
    const made = requests(slots, 'a', 9);
    expect(started).to.have.length(3);
    expect(slots.queued).to.equal(4);
    expect(made.slice(7)).to.deep.equal([undefined, undefined]);
  });

  it('leaves a slot for another key while several keys never return theirs', () => {
    const slots = new FairSlots(limits);
    for (const key of ['a', 'b', 'c']) requests(slots, key, 3);
    started = [];
    requests(slots, 'quick', 1);
    expect(started).to.deep.equal(['quick']);
  });

  it('serves the waiting keys round robin', () => {
    const slots = new FairSlots({ ...limits, slotsMax: 1, queuedPerKeyMax: 20 });
    const inUse: (SlotRequest | undefined)[] = requests(slots, 'x', 1);
    for (const key of ['a', 'a', 'a', 'b', 'b', 'c']) inUse.push(...requests(slots, key, 1));
    for (let served = 0; served < 6; served += 1) {
      // The requests of a key are served in their order.
      const key = started.at(-1) ?? '';
      const index =
        ['x', 'a', 'a', 'a', 'b', 'b', 'c'].indexOf(key) + started.filter((one) => one === key).length - 1;
      inUse[index]?.release();
    }
    expect(started).to.deep.equal(['x', 'a', 'b', 'c', 'a', 'b', 'a']);
  });

  it('forgets a request that is withdrawn while it waits, and counts a second release once', () => {
    const slots = new FairSlots(limits);
    const made = requests(slots, 'a', 5);
    made[3]?.release();
    made[3]?.release();
    expect(slots.queued).to.equal(1);
    made[0]?.release();
    made[0]?.release();
    expect(started).to.have.length(4);
    expect(slots.queued).to.equal(0);
    for (const request of made) request?.release();
    expect(slots.inUse).to.equal(0);
  });

  it('bounds the queue of all keys', () => {
    const slots = new FairSlots({ ...limits, slotsMax: 1, queuedMax: 5 });
    const made = Array.from({ length: 10 }, (_, index) => slots.request(`k${index}`, () => undefined));
    expect(made.filter((request) => request !== undefined)).to.have.length(6);
  });
});
