import { expect } from 'chai';
import { GracePeriod } from '../../../src/primary/webhooks/grace-period.ts';
import { eventually } from '../../support/deadline.ts';

describe('GracePeriod', () => {
  it('reports departures after the period, in order', async () => {
    const received: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 20, onExpire: (departure) => received.push(departure) });
    grace.hold('a', 'a left');
    grace.hold('b', 'b left');
    expect(received).to.deep.equal([]);
    await eventually(() => received.length === 2, 'both departures are reported');
    expect(received).to.deep.equal(['a left', 'b left']);
    expect(grace.cancel('a'), 'a return after that').to.equal(true);
  });

  it('reports neither departure nor return of a subject that returns in time', async () => {
    const received: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 30, onExpire: (departure) => received.push(departure) });
    grace.hold('a', 'a left');
    grace.hold('b', 'b left');
    expect(grace.cancel('a')).to.equal(false);
    expect(grace.cancel('a'), 'a second beginning').to.equal(true);
    await eventually(() => received.length > 0, 'the other is reported');
    expect(received).to.deep.equal(['b left']);
  });

  it('starts again for a second departure', async () => {
    const received: string[] = [];
    const grace = new GracePeriod<string>({ graceMs: 20, onExpire: (departure) => received.push(departure) });
    grace.hold('a', 'first');
    grace.cancel('a');
    grace.hold('a', 'second');
    await eventually(() => received.length > 0, 'the departure is reported');
    expect(received).to.deep.equal(['second']);
  });

  it('reports all held departures at a flush', () => {
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
