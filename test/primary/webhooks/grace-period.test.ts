import { expect } from 'chai';
import { GracePeriod } from '../../../src/primary/webhooks/grace-period.ts';
import { eventually } from '../../support/deadline.ts';

describe('the grace', () => {
  it('tells what ended when it is over, in the order in which it ended', async () => {
    const told: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 20, onExpire: (departure) => told.push(departure) });
    grace.hold('a', 'a left');
    grace.hold('b', 'b left');
    expect(told).to.deep.equal([]);
    await eventually(() => told.length === 2, 'both are told');
    expect(told).to.deep.equal(['a left', 'b left']);
    expect(grace.cancel('a'), 'a return after that').to.equal(true);
  });

  it('tells neither the end nor the beginning of what returns in time', async () => {
    const told: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 30, onExpire: (departure) => told.push(departure) });
    grace.hold('a', 'a left');
    grace.hold('b', 'b left');
    expect(grace.cancel('a')).to.equal(false);
    expect(grace.cancel('a'), 'a second beginning').to.equal(true);
    await eventually(() => told.length > 0, 'the other is told');
    expect(told).to.deep.equal(['b left']);
  });

  it('begins anew for what ends again', async () => {
    const told: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 20, onExpire: (departure) => told.push(departure) });
    grace.hold('a', 'first');
    grace.cancel('a');
    grace.hold('a', 'second');
    await eventually(() => told.length > 0, 'it is told');
    expect(told).to.deep.equal(['second']);
  });

  it('is over for everybody when nobody can return', () => {
    const told: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 60_000, onExpire: (departure) => told.push(departure) });
    grace.hold('a', 'a left');
    grace.hold('b', 'b left');
    grace.flush();
    expect(told).to.deep.equal(['a left', 'b left']);
  });
});
