import { expect } from 'chai';
import { PresenceQueryServer } from '../../../../src/primary/presence/query-server.ts';
import { PresenceRegistry } from '../../../../src/primary/presence/registry.ts';
import type { PresenceDelta } from '../../../../src/shared/model/presence.ts';
import { PusherWorker, WORKER_APP } from '../../../support/pusher-worker.ts';

/** More turns of the loop than a subscribe takes. */
const TURNS = 20;

async function pass(turns: number): Promise<void> {
  for (let scheduler = 0; scheduler < turns; scheduler += 1) await new Promise(setImmediate);
}

describe('a Pusher client that leaves while its command is under way', () => {
  let presence: PresenceRegistry;
  let desk: PresenceQueryServer;
  let worker: PusherWorker;

  beforeEach(() => {
    presence = new PresenceRegistry();
    desk = new PresenceQueryServer(presence);
    worker = new PusherWorker(desk, 'w1');
    worker.app = { ...WORKER_APP, subscription_count: true };
  });

  afterEach(() => worker.close());

  /** Nobody is anywhere, and what others do is not told to the worker any more. */
  async function expectNothingLeft(channel: string): Promise<void> {
    await pass(TURNS);
    const { connections, subscriptions, topics } = worker.stats;
    expect({ connections, subscriptions, topics }).to.deep.equal({
      connections: 0,
      subscriptions: 0,
      topics: 0,
    });
    expect(presence.app(WORKER_APP.key)?.counts).to.equal(undefined);
    const received = worker.received.length;
    const delta: PresenceDelta = { app: WORKER_APP.key, channel, user: 'other', change: 1 };
    desk.open('other', () => undefined);
    desk.receive('other', { type: 'presence', deltas: [delta] });
    await pass(TURNS);
    desk.close('other');
    await pass(TURNS);
    expect(worker.received.slice(received)).to.deep.equal([]);
  }

  for (const channel of ['c', 'private-c', 'cache-c', 'presence-c', 'presence-cache-c']) {
    for (const isAppKnown of [true, false]) {
      it(`is in ${channel} no more, whenever it goes${isAppKnown ? '' : ', where the app is looked up'}`, async () => {
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

  it('is no user, and watches nobody, whenever it goes', async () => {
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
