import { expect } from 'chai';
import { closeRedis, connectRedis, createRedisClient, type Redis } from '../../../src/shared/redis/client.ts';
import { eventually } from '../../support/deadline.ts';
import { FakeSentinel } from '../../support/fake-sentinel.ts';
import { RedisServer } from '../../support/redis-server.ts';

describe('a client of Redis', () => {
  let redis: RedisServer;
  let client: Redis;
  let errors: Error[];

  function create(url: string): void {
    errors = [];
    client = createRedisClient(url, { name: 'test', onError: (error) => errors.push(error) });
  }

  beforeEach(async () => {
    redis = await RedisServer.start();
  });

  afterEach(async () => {
    closeRedis(client);
    await redis.stop();
  });

  it('does not go on with another database than the one that was asked for', async () => {
    create(`${redis.url}/99`);
    await connectRedis(client).catch(() => undefined);
    await eventually(() => errors.length >= 3, 'it has tried again');
    expect(client.status).to.not.equal('ready');
    for (const { message } of errors) expect(message).to.match(/DB index is out of range/);
  });

  describe('by Sentinels', () => {
    let other: RedisServer;
    let first: FakeSentinel;
    let second: FakeSentinel;

    const isAt = (server: RedisServer): boolean => client.stream.remotePort === server.port;

    beforeEach(async () => {
      other = await RedisServer.start();
      first = await FakeSentinel.start(redis.port);
      second = await FakeSentinel.start(redis.port);
      create(`redis-sentinel://127.0.0.1:${first.port},127.0.0.1:${second.port}/main`);
      await connectRedis(client);
      await eventually(() => first.subscribers.size + second.subscribers.size === 2, 'it listens to both');
    });

    afterEach(async () => {
      first.stop();
      second.stop();
      await other.stop();
    });

    it('goes to the new master when one of them says so, and once', async () => {
      const connects: number[] = [];
      client.on('ready', () => connects.push(client.stream.remotePort ?? 0));
      second.masterPort = other.port;
      first.switchTo(other.port);
      second.switchTo(other.port);
      await eventually(() => client.status === 'ready' && isAt(other), 'it is at the new master');
      await client.ping();
      expect(connects).to.deep.equal([other.port]);
    });

    it('goes there too when one says so while it is on its way to the old one by another', async () => {
      redis.signal('SIGSTOP');
      first.switchTo(other.port);
      await eventually(() => client.status === 'connect' && isAt(redis), 'it is at the old one again');
      second.switchTo(other.port);
      redis.signal('SIGCONT');
      await eventually(() => client.status === 'ready' && isAt(other), 'it is at the new master');
    });

    it('lets go of them when it is closed, also while it reconnects', async () => {
      await redis.kill();
      await eventually(() => client.status !== 'ready', 'the loss is noticed');
      closeRedis(client);
      await eventually(() => first.subscribers.size + second.subscribers.size === 0, 'nobody listens');
    });
  });
});
