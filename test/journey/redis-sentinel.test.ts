import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { freePort, MASTER, RedisServer } from '../support/redis-server.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const CLIENTS = 6;
/** A Sentinel that was kept from its work for two seconds, as on a busy machine, does nothing for 30 s (its TILT mode). */
const SENTINEL_PATIENCE_MS = 60_000;

describe('a Redis that Sentinels name', () => {
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
    // The first of them is not there; the other one is asked.
    const sentinels = `127.0.0.1:${await freePort()},127.0.0.1:${sentinel.port}`;
    gusher = await startGusher({ workers: 2, redisUrl: `redis-sentinel://${sentinels}/${MASTER}` });
    await master.command('HSET', 'shop', 'channels', '["*"]');
  });

  afterEach(async () => {
    await gusher.stop();
    for (const server of [sentinel, replica, master]) await server.stop();
  });

  /** Clients stay, and hear what is published through the new master, where apps are looked up too. */
  async function outlives(end: () => unknown): Promise<void> {
    const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl('shop'), 'news');
    expect((await gusher.publish('news', 'tick', 'before', 'shop')).status).to.equal(200);
    await Promise.all(subscribers.map((subscriber) => subscriber.hasReceived('before')));
    await eventually(
      async () => (await replica.command('EXISTS', 'shop')).startsWith(':1'),
      'the replica has the app',
    );

    await end();
    // The Sentinel ends connections when it turns a Redis round, this one too.
    const isMaster = (): Promise<boolean> =>
      replica.command('ROLE').then(
        (role) => role.includes('master'),
        () => false,
      );
    await eventually(isMaster, 'the replica is the master', SENTINEL_PATIENCE_MS);
    await replica.command('HSET', 'late', 'channels', '["*"]');
    await eventually(
      async () => (await gusher.publish('news', 'tick', 'after', 'shop')).status === 200,
      'publications are taken again',
    );
    await Promise.all(subscribers.map((subscriber) => subscriber.hasReceived('after')));
    for (const { client } of subscribers) expect(client.socket.readyState).to.equal(client.socket.OPEN);
    await eventually(
      async () => (await gusher.publish('news', 'tick', 1, 'late')).status === 200,
      'apps are looked up',
    );
    disconnectAll(subscribers);
  }

  it('is followed to another when it dies', () => outlives(() => master.kill()));

  it('is followed to another when it says nothing any more', () => outlives(() => master.signal('SIGSTOP')));

  it('is followed to another when it has to step down', () =>
    outlives(() =>
      // It refuses as long as it is not sure of the replica.
      eventually(
        async () => (await sentinel.command('SENTINEL', 'FAILOVER', MASTER)).startsWith('+OK'),
        'the Sentinel begins a failover',
      ),
    ));
});
