import { expect } from 'chai';
import type { Publication } from '../../../src/shared/model/publication.ts';
import { createStats, type Stats } from '../../../src/shared/stats.ts';
import { SendQueue } from '../../../src/worker/connection/send-queue.ts';
import { FanOut } from '../../../src/worker/hub/fan-out.ts';
import { Hub } from '../../../src/worker/hub/hub.ts';
import { makeConnection } from '../../support/transport.ts';

describe('the hub', () => {
  const scheduleFlush = (): void => undefined;
  let stats: Stats;
  let asked: string[];
  let counts: Map<string, number>;
  let hub: Hub;

  beforeEach(() => {
    stats = createStats();
    asked = [];
    counts = new Map();
    const sendQueue = new SendQueue({ maxBytes: 1_000, stats, scheduleFlush });
    hub = new Hub({
      broker: {
        subscribe: async (topic) => void asked.push(`+${topic}`),
        unsubscribe: (topic) => void asked.push(`-${topic}`),
      },
      fanOut: new FanOut({ sendQueue, stats, scheduleFlush }),
      presence: {
        report: (_app, channel, user, change) => {
          const key = `${channel} ${user}`;
          counts.set(key, (counts.get(key) ?? 0) + change);
        },
      },
      stats,
    });
  });

  const publication = (event: string): Publication => ({ channel: 'cache-c', event, data: '1' });

  describe('of a cache channel that has a subscriber here', () => {
    beforeEach(() => {
      const { connection } = makeConnection();
      hub.add(connection);
      void hub.subscribe(connection, 'cache-c');
      hub.deliver('demo@cache-c', { ...publication('kept'), cached: true });
    });

    it('knows the last of what the broker keeps, and nothing else', () => {
      hub.deliver('demo@cache-c', publication('typed into redis-cli'));
      expect(hub.cachedEvent('demo', 'cache-c')?.event).to.equal('kept');
    });

    it('knows nothing any more when something may have been missed', () => {
      hub.clearCachedEvents();
      expect(hub.cachedEvent('demo', 'cache-c')).to.equal(undefined);
    });
  });

  it('takes a client that was removed into nothing, whoever was waiting to do so', () => {
    const { connection } = makeConnection();
    hub.add(connection);
    hub.remove(connection);
    expect(hub.subscribe(connection, 'a')).to.equal(undefined);
    expect(hub.subscribePending(connection, 'b')).to.equal(undefined);
    hub.activate(connection, 'b');
    hub.setUser(connection, 'ann');
    expect(hub.isSubscribed(connection, 'a')).to.equal(false);
    expect([...hub.connectionsOf('demo', 'ann')]).to.deep.equal([]);
    expect(asked).to.deep.equal([]);
    expect([...counts.values()].filter((count) => count !== 0)).to.deep.equal([]);
    expect([stats.connections, stats.subscriptions, stats.topics]).to.deep.equal([0, 0, 0]);
  });
});
