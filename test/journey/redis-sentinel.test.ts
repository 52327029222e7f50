import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { freePort, MASTER, RedisServer } from '../support/redis-server.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const CLIENTS = 6;
/** A Sentinel that did not run for two seconds, as on a busy machine, does nothing for 30 s (TILT mode). */
const SENTINEL_PATIENCE_MS = 60_000;

describe('Redis with Sentinels', () => {
  let master: RedisServer;
  let replica: RedisServer;
  let sentinel: RedisServer;
  let gusher: RunningGusher;

  beforeEach(async () => {
    master = await RedisServer.start();
    replica = await RedisServer.start('--replicaof', '127.0.0.1', String(master.port));
    sentinel = await RedisServer.startSentinel(master);
    await eventually(
      async () => (await sentinel.command('SENTINEL', 'REPLICAS', MASTER)).includes(`${replica.port}`),
      'the Sentinel knows the replica',
    );
    // The first Sentinel is down; gusher uses the second.
    const sentinels = `127.0.0.1:${await freePort()},127.0.0.1:${sentinel.port}`;
    gusher = await startGusher({ workers: 2, redisUrl: `redis-sentinel://${sentinels}/${MASTER}` });
    await master.command('HSET', 'shop', 'channels', '["*"]');
  });

  afterEach(async () => {
    await gusher.stop();
    for (const server of [sentinel, replica, master]) await server.stop();
  });

  /** Checks that clients stay connected and receive messages through the new master, which also serves the apps. */
  async function expectSwitch(end: () => unknown): Promise<void> {
    const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl('shop'), 'news');
    expect((await gusher.publish('news', 'tick', 'before', 'shop')).status).to.equal(200);
    await Promise.all(subscribers.map((subscriber) => subscriber.hasReceived('before')));
    await eventually(
      async () => (await replica.command('EXISTS', 'shop')).startsWith(':1'),
      'the replica has the app',
    );

    await end();
    // The Sentinel closes connections when it reconfigures a Redis, including this one.
    const isMaster = (): Promise<boolean> =>
      replica.command('ROLE').then(
        (role) => role.includes('master'),
        () => false,
      );
    await eventually(isMaster, 'the replica is the master', SENTINEL_PATIENCE_MS);
    await replica.command('HSET', 'late', 'channels', '["*"]');
    await eventually(
      async () => (await gusher.publish('news', 'tick', 'after', 'shop')).status === 200,
      'publications are accepted',
    );
    await Promise.all(subscribers.map((subscriber) => subscriber.hasReceived('after')));
    for (const { client } of subscribers) expect(client.socket.readyState).to.equal(client.socket.OPEN);
    await eventually(
      async () => (await gusher.publish('news', 'tick', 1, 'late')).status === 200,
      'apps can be read',
    );
    disconnectAll(subscribers);
  }

  it('switches to the new master when the old one is killed', () => expectSwitch(() => master.kill()));

  it('switches to the new master when the old one hangs', () => expectSwitch(() => master.signal('SIGSTOP')));

  it('switches to the new master when the old one is demoted', () =>
    expectSwitch(() =>
      // The Sentinel rejects FAILOVER until it knows the state of the replica.
      eventually(
        async () => (await sentinel.command('SENTINEL', 'FAILOVER', MASTER)).startsWith('+OK'),
        'the Sentinel begins a failover',
      ),
    ));
});
