import { expect } from 'chai';
import { TimingWheel } from '../../../src/shared/scheduling/timing-wheel.ts';
import { eventually } from '../../support/deadline.ts';

describe('delays', () => {
  it('are over in the order of their length, and never early', async () => {
    const onExpire: { name: string; at: number }[] = [];
    const began = performance.now();
    const wheel = new TimingWheel<string>({
      onExpire: (name) => void onExpire.push({ name, at: performance.now() - began }),
    });
    for (const ms of [200, 40, 120]) wheel.add(String(ms), ms);
    expect(wheel.size).to.equal(3);
    await eventually(() => onExpire.length === 3, 'all are over');
    expect(onExpire.map(({ name }) => name)).to.deep.equal(['40', '120', '200']);
    for (const { name, at } of onExpire) expect(at).to.be.at.least(Number(name) - 5);
    expect(wheel.size).to.equal(0);
  });

  it('can be cut short, all of them', () => {
    const onExpire: number[] = [];
    const wheel = new TimingWheel<number>({ onExpire: (item) => void onExpire.push(item) });
    for (let n = 0; n < 100; n += 1) wheel.add(n, n * 100);
    wheel.flush();
    expect(onExpire).to.have.length(100);
    expect(wheel.size).to.equal(0);
  });

  it('end for what is withdrawn, and for nothing else', async () => {
    const onExpire: number[] = [];
    const wheel = new TimingWheel<number>({ onExpire: (item) => void onExpire.push(item) });
    for (const ms of [40, 41, 100]) wheel.add(ms, ms);
    wheel.cancel(41);
    wheel.cancel(7);
    expect(wheel.size).to.equal(2);
    await eventually(() => wheel.size === 0, 'all are over');
    expect(onExpire).to.deep.equal([40, 100]);
  });
});
