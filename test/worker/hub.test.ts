import { expect } from 'chai';
import type { Publication } from '../../src/shared/publication.ts';
import { createStats } from '../../src/shared/stats.ts';
import { FanOut } from '../../src/worker/fan-out.ts';
import { Hub } from '../../src/worker/hub.ts';
import { Outbox } from '../../src/worker/outbox.ts';
import { makeConnection } from '../support/transport.ts';

describe('the hub', () => {
  const stats = createStats();
  const requestFlush = (): void => undefined;
  let hub: Hub;

  beforeEach(() => {
    const outbox = new Outbox({ maxBytes: 1_000, stats, requestFlush });
    hub = new Hub({
      broker: { subscribe: async () => undefined, unsubscribe: () => undefined },
      fanOut: new FanOut({ outbox, stats, requestFlush }),
      roster: { report: () => undefined },
      stats,
    });
  });

  const publication = (event: string): Publication => ({ channel: 'cache-c', event, data: '1' });

  describe('of a cache channel that has a subscriber here', () => {
    beforeEach(() => {
      const { connection } = makeConnection();
      hub.add(connection);
      void hub.subscribe(connection, 'cache-c');
      hub.deliver('demo@cache-c', { ...publication('kept'), kept: true });
    });

    it('knows the last of what the broker keeps, and nothing else', () => {
      hub.deliver('demo@cache-c', publication('typed into redis-cli'));
      expect(hub.lastOf('demo', 'cache-c')?.event).to.equal('kept');
    });

    it('knows nothing any more when something may have been missed', () => {
      hub.forgetLast();
      expect(hub.lastOf('demo', 'cache-c')).to.equal(undefined);
    });
  });
});
