import { expect } from 'chai';
import { AppAllowances } from '../../../src/worker/hub/app-allowances.ts';
import { eventually } from '../../support/deadline.ts';

const LIMITS = { channels: 4, subscriptions: 10 };

describe('AppAllowances', () => {
  let total: { channels: number; subscriptions: number };
  let counts: number;
  let allowances: AppAllowances;

  beforeEach(() => {
    total = { channels: 0, subscriptions: 0 };
    counts = 0;
    allowances = new AppAllowances({
      limitsOf: () => LIMITS,
      count: async () => {
        counts += 1;
        return total;
      },
      workers: 2,
    });
  });

  afterEach(() => allowances.close());

  it('admits the share of this worker before the first count', () => {
    expect(allowances.error('shop', 2, 5)).to.equal(undefined);
    expect(allowances.error('shop', 3, 3)).to.equal('channels_full');
    expect(allowances.error('shop', 0, 6)).to.equal('subscriptions_full');
  });

  it('spends the share of the app and of no other app', () => {
    allowances.addChannel('shop');
    allowances.addChannel('shop');
    expect(allowances.error('shop', 1, 1)).to.equal('channels_full');
    expect(allowances.error('shop', 0, 1)).to.equal(undefined);
    expect(allowances.error('board', 2, 1)).to.equal(undefined);
  });

  it('admits what is left over all workers after each count, to the last channel', async () => {
    allowances.addChannel('shop');
    total = { channels: 3, subscriptions: 3 };
    await eventually(() => allowances.error('shop', 2, 1) === 'channels_full', 'a count');
    expect(allowances.error('shop', 1, 1)).to.equal(undefined);
    total = { channels: 4, subscriptions: 4 };
    await eventually(() => allowances.error('shop', 1, 1) === 'channels_full', 'a full app');
    expect(allowances.error('shop', 0, 3)).to.equal(undefined);
    total = { channels: 2, subscriptions: 2 };
    await eventually(() => allowances.error('shop', 1, 1) === undefined, 'room again');
  });

  it('counts subscriptions that the primary does not know yet', async () => {
    for (let count = 0; count < 4; count += 1) allowances.addChannel('shop');
    await eventually(() => counts > 1, 'two counts');
    expect(allowances.error('shop', 1, 1)).to.equal('channels_full');
  });
});
