import { expect } from 'chai';
import { createStats, type Stats } from '../../../src/shared/metrics/stats.ts';
import type { Publication } from '../../../src/shared/model/publication.ts';
import { SendQueue } from '../../../src/worker/connection/send-queue.ts';
import { FanOut } from '../../../src/worker/hub/fan-out.ts';
import { Hub } from '../../../src/worker/hub/hub.ts';
import { makeConnection } from '../../support/transport.ts';

describe('Hub', () => {
  const scheduleFlush = (): void => undefined;
  let stats: Stats;
  let brokerCalls: string[];
  let counts: Map<string, number>;
  let hub: Hub;

  beforeEach(() => {
    stats = createStats();
    brokerCalls = [];
    counts = new Map();
    const sendQueue = new SendQueue({ maxBytes: 1_000, stats, scheduleFlush });
    hub = new Hub({
      broker: {
        subscribe: async (topic) => void brokerCalls.push(`+${topic}`),
        unsubscribe: (topic) => void brokerCalls.push(`-${topic}`),
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

  describe('#cachedEvent', () => {
    beforeEach(() => {
      const { connection } = makeConnection();
      hub.add(connection);
      void hub.subscribe(connection, 'cache-c');
      hub.deliver('demo@cache-c', { ...publication('kept'), cached: true });
    });

    it('returns the last event that the broker caches, and no other', () => {
      hub.deliver('demo@cache-c', publication('not cached'));
      expect(hub.cachedEvent('demo', 'cache-c')?.event).to.equal('kept');
    });

    it('returns nothing after cached events were cleared', () => {
      hub.clearCachedEvents();
      expect(hub.cachedEvent('demo', 'cache-c')).to.equal(undefined);
    });
  });

  it('subscribes no connection that was removed in the meantime', () => {
    const { connection } = makeConnection();
    hub.add(connection);
    hub.remove(connection);
    expect(hub.subscribe(connection, 'a')).to.equal(undefined);
    expect(hub.subscribePending(connection, 'b')).to.equal(undefined);
    hub.activate(connection, 'b');
    hub.setUser(connection, 'ann');
    expect(hub.isSubscribed(connection, 'a')).to.equal(false);
    expect([...hub.connectionsOf('demo', 'ann')]).to.deep.equal([]);
    expect(brokerCalls).to.deep.equal([]);
    expect([...counts.values()].filter((count) => count !== 0)).to.deep.equal([]);
    expect([stats.connections.gusher, stats.subscriptions, stats.topics]).to.deep.equal([0, 0, 0]);
  });
});
