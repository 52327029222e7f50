import { expect } from 'chai';
import { JoinPace } from '../../../src/worker/limits/join-pace.ts';
import { makeConnection } from '../../support/transport.ts';

describe('JoinPace', () => {
  it('accepts a hundred joins of a new client at once', () => {
    const pace = new JoinPace({ perClientPerSecond: 5, perChannelPerSecond: 200 });
    const { connection } = makeConnection();
    for (let count = 0; count < 100; count += 1)
      expect(pace.wait(connection, `c${count}`)).to.equal(undefined);
  });

  it('delays a client that joins and leaves repeatedly', async () => {
    const pace = new JoinPace({ perClientPerSecond: 20, perChannelPerSecond: 200 });
    const { connection } = makeConnection();
    const start = performance.now();
    for (let count = 0; count < 110; count += 1) await pace.wait(connection, `c${count % 2}`);
    // Timers may be late, never early: ten joins beyond the hundred, 50 ms each.
    expect(performance.now() - start).to.be.at.least(400);
  });

  it('rejects joins that would wait too long, only in their own channel', async () => {
    const pace = new JoinPace({ perClientPerSecond: 1_000, perChannelPerSecond: 1 });
    const join = (topic: string): unknown => pace.wait(makeConnection().connection, topic);
    for (let count = 0; count < 10_000; count += 1) expect(join('full')).to.equal(undefined);
    const rejected: unknown[] = [];
    for (let count = 0; count < 10; count += 1) {
      const waiting = join('full') as Promise<void> | undefined;
      waiting?.catch((error: unknown) => rejected.push(error));
    }
    await new Promise(setImmediate);
    expect(rejected).to.have.lengthOf(5);
    expect(rejected[0]).to.have.property('code', 'too_many_joins');
    expect(join('other')).to.equal(undefined);
  });
});
