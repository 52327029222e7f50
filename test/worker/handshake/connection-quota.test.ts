import { expect } from 'chai';
import type { App } from '../../../src/shared/apps/app.ts';
import { createStats } from '../../../src/shared/metrics/stats.ts';
import type { Connection } from '../../../src/worker/connection/connection.ts';
import { ConnectionQuota, type QuotaDependencies } from '../../../src/worker/handshake/connection-quota.ts';
import { eventually } from '../../support/deadline.ts';
import { makeConnection } from '../../support/transport.ts';

const MAX = 50;

describe('ConnectionQuota', () => {
  it('closes the newest connections of each host that has a share of the surplus', async () => {
    const app = { key: 'demo', enabled: true, max_connections: MAX } as App;
    const hosts: { connections: Connection[]; quota: ConnectionQuota }[] = [];
    const isOpen = ({ state }: Connection): boolean => state === 'open';
    const openOn = (host: { connections: Connection[] }): number => host.connections.filter(isOpen).length;
    const total = (): number => hosts.reduce((sum, host) => sum + openOn(host), 0);
    for (const count of [65, 58, 3]) {
      const connections = Array.from({ length: count }, () => makeConnection().connection);
      const dependencies = {
        apps: { find: async () => app },
        hub: { connections: () => connections.values() },
        presence: { query: async () => ({ connections: total(), channels: 0, subscriptions: 0, users: 0 }) },
        stats: createStats(),
        end: (connection: Connection) => {
          connection.state = 'closing';
        },
        correctionMs: 20,
      } as unknown as QuotaDependencies;
      hosts.push({ connections, quota: new ConnectionQuota(dependencies) });
    }
    // Each host admitted its connections before it received the counts of the others.
    for (const { quota } of hosts) quota.track(app.key);
    await eventually(() => total() <= MAX, 'the surplus is closed');
    for (const { quota } of hosts) quota.close();
    // Hosts that check at the same time may each close one connection for the same fraction.
    expect(total()).to.be.within(MAX - hosts.length, MAX);
    for (const { connections } of hosts) {
      const firstClosed = connections.findIndex((connection) => !isOpen(connection));
      if (firstClosed >= 0) expect(connections.slice(firstClosed).some(isOpen)).to.equal(false);
    }
  });

  it('rejects a client before its handshake if the app is at its limit', async () => {
    const quota = new ConnectionQuota({
      presence: { query: async () => ({ connections: MAX }) },
      stats: createStats(),
    } as unknown as QuotaDependencies);
    await quota.requireRoom('demo', undefined);
    await quota.requireRoom('demo', MAX + 1);
    const error = await quota.requireRoom('demo', MAX).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'connections_full');
    quota.close();
  });
});
