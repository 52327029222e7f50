import { expect } from 'chai';
import { PresenceQueryServer } from '../../../../src/primary/presence/query-server.ts';
import { PresenceRegistry } from '../../../../src/primary/presence/registry.ts';
import type { PresenceDelta } from '../../../../src/shared/model/presence.ts';
import { PusherWorker, WORKER_APP } from '../../../support/pusher-worker.ts';

/** More event-loop turns than a subscription needs. */
const TURNS = 20;

async function pass(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
}

describe('a Pusher client that disconnects during a command', () => {
  let presence: PresenceRegistry;
  let queryServer: PresenceQueryServer;
  let worker: PusherWorker;

  beforeEach(() => {
    presence = new PresenceRegistry();
    queryServer = new PresenceQueryServer(presence);
    worker = new PusherWorker(queryServer, 'w1');
    worker.app = { ...WORKER_APP, subscription_count: true };
  });

  afterEach(() => worker.close());

  /** No connection, subscription or watch remains, and the worker receives no more presence events. */
  async function expectNothingLeft(channel: string): Promise<void> {
    await pass(TURNS);
    const { connections, subscriptions, topics } = worker.stats;
    expect({ connections, subscriptions, topics }).to.deep.equal({
      connections: { gusher: 0, pusher: 0 },
      subscriptions: 0,
      topics: 0,
    });
    expect(presence.app(WORKER_APP.key)?.counts).to.equal(undefined);
    const received = worker.received.length;
    const delta: PresenceDelta = { app: WORKER_APP.key, channel, user: 'other', change: 1 };
    queryServer.open('other', () => undefined);
    queryServer.receive('other', { type: 'presence', deltas: [delta] });
    await pass(TURNS);
    queryServer.close('other');
    await pass(TURNS);
    expect(worker.received.slice(received)).to.deep.equal([]);
  }

  for (const channel of ['c', 'private-c', 'cache-c', 'presence-c', 'presence-cache-c']) {
    for (const isAppKnown of [true, false]) {
      it(`leaves ${channel} at any moment${isAppKnown ? '' : ' of the app lookup'}`, async () => {
        worker.isAppKnown = isAppKnown;
        for (let turns = 0; turns < TURNS; turns += 1) {
          const { connection } = worker.connect();
          const subscribing = worker.subscribe(connection, channel);
          await pass(turns);
          worker.leave(connection);
          await subscribing;
          await expectNothingLeft(channel);
        }
      });
    }
  }

  it('leaves no user and no watchlist behind at any moment of its sign-in', async () => {
    worker.isAppKnown = false;
    for (let turns = 0; turns < TURNS; turns += 1) {
      const { connection } = worker.connect();
      const signing = worker.signIn(connection, '{"id":"u","watchlist":["other"]}');
      await pass(turns);
      worker.leave(connection);
      await signing;
      await expectNothingLeft('c');
    }
  });
});
