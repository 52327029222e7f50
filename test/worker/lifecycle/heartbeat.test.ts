import { expect } from 'chai';
import type { Connection } from '../../../src/worker/connection/connection.ts';
import type { SendQueue } from '../../../src/worker/connection/send-queue.ts';
import type { Hub } from '../../../src/worker/hub/hub.ts';
import { Heartbeat } from '../../../src/worker/lifecycle/heartbeat.ts';
import { eventually } from '../../support/deadline.ts';
import { makeConnection } from '../../support/transport.ts';
import { noUnexpectedErrors } from '../../support/unexpected.ts';

const INTERVAL_MS = 320;

describe('Heartbeat', () => {
  for (const count of [1, 16, 40]) {
    it(`gives each of ${count} silent clients an interval before the ping and one after it`, async () => {
      const connections = Array.from({ length: count }, () => makeConnection().connection);
      const { pinged, closed, stop } = watchedConnection(connections);
      const start = performance.now();
      await eventually(() => closed.size === count, 'all clients are closed');
      stop();
      for (const connection of connections) {
        const pingedAt = pinged.get(connection) ?? Number.NaN;
        const closedAt = closed.get(connection) ?? Number.NaN;
        // Timers may be late, but never early: only lower bounds can be checked.
        expect(pingedAt - start).to.be.at.least(INTERVAL_MS * 0.9);
        expect(closedAt - pingedAt).to.be.at.least(INTERVAL_MS * 0.5);
      }
    });
  }

  it('neither pings nor closes a client that sends bytes', async () => {
    const { connection, transport } = makeConnection();
    const { pinged, closed, stop } = watchedConnection([connection]);
    const traffic = setInterval(() => {
      transport.receivedBytes += 1;
    }, 1);
    const silent = makeConnection().connection;
    const other = watchedConnection([silent]);
    await eventually(() => other.closed.size === 1, 'a silent client is closed');
    clearInterval(traffic);
    stop();
    other.stop();
    expect(pinged.size + closed.size).to.equal(0);
  });

  it('waits until a slow client can have read everything that was sent before the ping', async () => {
    const [slow, silent] = [makeConnection(), makeConnection()];
    // Four checks of 320 ms at 16 KB/s.
    slow.transport.sentBytes = 4.1 * 0.32 * 16_384;
    const { pinged, closed, stop } = watchedConnection([slow.connection, silent.connection]);
    await eventually(() => closed.has(silent.connection), 'the silent client is closed');
    await eventually(() => closed.has(slow.connection), 'the slow one is closed');
    stop();
    const waited = (connection: Connection): number =>
      (closed.get(connection) ?? 0) - (pinged.get(connection) ?? 0);
    expect(waited(slow.connection)).to.be.above(waited(silent.connection) + 2 * INTERVAL_MS);
  });
});

/** The times of the first ping and of the close of each connection (`performance.now()`). */
function watchedConnection(connections: readonly Connection[]): {
  pinged: Map<Connection, number>;
  closed: Map<Connection, number>;
  stop: () => void;
} {
  const pinged = new Map<Connection, number>();
  const closed = new Map<Connection, number>();
  const hub = { size: connections.length, connections: () => connections.values() };
  const sendQueue = {
    enqueue: (connection: Connection) => void pinged.set(connection, performance.now()),
    close: (connection: Connection) => {
      connection.state = 'closing';
      closed.set(connection, performance.now());
    },
  };
  const heartbeat = new Heartbeat({
    intervalMs: INTERVAL_MS,
    hub: hub as unknown as Hub,
    sendQueue: sendQueue as unknown as SendQueue,
    unexpected: noUnexpectedErrors(),
  });
  return { pinged, closed, stop: () => heartbeat.close() };
}
