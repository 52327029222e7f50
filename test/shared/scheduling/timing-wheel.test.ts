import { expect } from 'chai';
import { TimingWheel } from '../../../src/shared/scheduling/timing-wheel.ts';
import { eventually } from '../../support/deadline.ts';

describe('TimingWheel', () => {
  it('expires items in the order of their delays, and never early', async () => {
    const expired: { name: string; at: number }[] = [];
    const began = performance.now();
    const wheel = new TimingWheel<string>({
      onExpire: (name) => void expired.push({ name, at: performance.now() - began }),
    });
    for (const ms of [200, 40, 120]) wheel.add(String(ms), ms);
    expect(wheel.size).to.equal(3);
    await eventually(() => expired.length === 3, 'all items expired');
    expect(expired.map(({ name }) => name)).to.deep.equal(['40', '120', '200']);
    for (const { name, at } of expired) expect(at).to.be.at.least(Number(name) - 5);
    expect(wheel.size).to.equal(0);
  });

  it('expires all items when it is flushed', () => {
    const expired: number[] = [];
    const wheel = new TimingWheel<number>({ onExpire: (item) => void expired.push(item) });
    for (let n = 0; n < 100; n += 1) wheel.add(n, n * 100);
    wheel.flush();
    expect(expired).to.have.length(100);
    expect(wheel.size).to.equal(0);
  });

  it('expires no cancelled item, and all others', async () => {
    const expired: number[] = [];
    const wheel = new TimingWheel<number>({ onExpire: (item) => void expired.push(item) });
    for (const ms of [40, 41, 100]) wheel.add(ms, ms);
    wheel.cancel(41);
    wheel.cancel(7);
    expect(wheel.size).to.equal(2);
    await eventually(() => wheel.size === 0, 'all items expired');
    expect(expired).to.deep.equal([40, 100]);
  });
});
