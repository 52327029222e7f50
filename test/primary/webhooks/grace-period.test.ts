import { expect } from 'chai';
import { Grace } from '../../../src/primary/webhooks/grace-period.ts';
import { eventually } from '../../support/deadline.ts';

describe('the grace', () => {
  it('tells what ended when it is over, in the order in which it ended', async () => {
    const told: string[] = [];
    const grace = new Grace<string>({ graceMs: 20, tell: (departure) => told.push(departure) });
    grace.ended('a', 'a left');
    grace.ended('b', 'b left');
    expect(told).to.deep.equal([]);
    await eventually(() => told.length === 2, 'both are told');
    expect(told).to.deep.equal(['a left', 'b left']);
    expect(grace.began('a'), 'a return after that').to.equal(true);
  });

  it('tells neither the end nor the beginning of what returns in time', async () => {
    const told: string[] = [];
    const grace = new Grace<string>({ graceMs: 30, tell: (departure) => told.push(departure) });
    grace.ended('a', 'a left');
    grace.ended('b', 'b left');
    expect(grace.began('a')).to.equal(false);
    expect(grace.began('a'), 'a second beginning').to.equal(true);
    await eventually(() => told.length > 0, 'the other is told');
    expect(told).to.deep.equal(['b left']);
  });

  it('begins anew for what ends again', async () => {
    const told: string[] = [];
    const grace = new Grace<string>({ graceMs: 20, tell: (departure) => told.push(departure) });
    grace.ended('a', 'first');
    grace.began('a');
    grace.ended('a', 'second');
    await eventually(() => told.length > 0, 'it is told');
    expect(told).to.deep.equal(['second']);
  });

  it('is over for everybody when nobody can return', () => {
    const told: string[] = [];
    const grace = new Grace<string>({ graceMs: 60_000, tell: (departure) => told.push(departure) });
    grace.ended('a', 'a left');
    grace.ended('b', 'b left');
    grace.end();
    expect(told).to.deep.equal(['a left', 'b left']);
  });
});
