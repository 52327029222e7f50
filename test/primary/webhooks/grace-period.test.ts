import { expect } from 'chai';
import { GracePeriod } from '../../../src/primary/webhooks/grace-period.ts';
import { eventually } from '../../support/deadline.ts';

describe('the grace', () => {
  it('tells what ended when it is over, in the order in which it ended', async () => {
    const received: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 20, onExpire: (departure) => received.push(departure) });
    grace.hold('a', 'a left');
    grace.hold('b', 'b left');
    expect(received).to.deep.equal([]);
    await eventually(() => received.length === 2, 'both are told');
    expect(received).to.deep.equal(['a left', 'b left']);
    expect(grace.cancel('a'), 'a return after that').to.equal(true);
  });

  it('tells neither the end nor the beginning of what returns in time', async () => {
    const received: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 30, onExpire: (departure) => received.push(departure) });
    grace.hold('a', 'a left');
    grace.hold('b', 'b left');
    expect(grace.cancel('a')).to.equal(false);
    expect(grace.cancel('a'), 'a second beginning').to.equal(true);
    await eventually(() => received.length > 0, 'the other is told');
    expect(received).to.deep.equal(['b left']);
  });

  it('begins anew for what ends again', async () => {
    const received: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 20, onExpire: (departure) => received.push(departure) });
    grace.hold('a', 'first');
    grace.cancel('a');
    grace.hold('a', 'second');
    await eventually(() => received.length > 0, 'it is told');
    expect(received).to.deep.equal(['second']);
  });

  it('is over for everybody when nobody can return', () => {
    const received: string[] = [];
    const grace = new GracePeriod<string>({
      graceMs: 60_000,
      onExpire: (departure) => received.push(departure),
    });
    grace.hold('a', 'a left');
    grace.hold('b', 'b left');
    grace.flush();
    expect(received).to.deep.equal(['a left', 'b left']);
  });
});
