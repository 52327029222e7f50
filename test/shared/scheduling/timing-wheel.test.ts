import { expect } from 'chai';
import { Delays } from '../../../src/shared/scheduling/timing-wheel.ts';
import { eventually } from '../../support/deadline.ts';

describe('delays', () => {
  it('are over in the order of their length, and never early', async () => {
    const due: { name: string; at: number }[] = [];
    const began = performance.now();
    const delays = new Delays<string>({
      due: (name) => void due.push({ name, at: performance.now() - began }),
    });
    for (const ms of [200, 40, 120]) delays.add(String(ms), ms);
    expect(delays.size).to.equal(3);
    await eventually(() => due.length === 3, 'all are over');
    expect(due.map(({ name }) => name)).to.deep.equal(['40', '120', '200']);
    for (const { name, at } of due) expect(at).to.be.at.least(Number(name) - 5);
    expect(delays.size).to.equal(0);
  });

  it('can be cut short, all of them', () => {
    const due: number[] = [];
    const delays = new Delays<number>({ due: (item) => void due.push(item) });
    for (let n = 0; n < 100; n += 1) delays.add(n, n * 100);
    delays.flush();
    expect(due).to.have.length(100);
    expect(delays.size).to.equal(0);
  });

  it('end for what is withdrawn, and for nothing else', async () => {
    const due: number[] = [];
    const delays = new Delays<number>({ due: (item) => void due.push(item) });
    for (const ms of [40, 41, 100]) delays.add(ms, ms);
    delays.withdraw(41);
    delays.withdraw(7);
    expect(delays.size).to.equal(2);
    await eventually(() => delays.size === 0, 'all are over');
    expect(due).to.deep.equal([40, 100]);
  });
});
