import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'chai';
import { closeRedis, connectRedis, createRedisClient, type Redis } from '../../../src/shared/redis/client.ts';
import { eventually } from '../../support/deadline.ts';
import { FakeSentinel } from '../../support/fake-sentinel.ts';
import { RedisServer } from '../../support/redis-server.ts';

describe('Redis client', () => {
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

  it('does not become ready if the database does not exist', async () => {
    create(`${redis.url}/99`);
    await connectRedis(client).catch(() => undefined);
    await eventually(() => errors.length >= 3, 'the client tries again');
    expect(client.status).to.not.equal('ready');
    for (const { message } of errors) expect(message).to.match(/DB index is out of range/);
  });

  it('reports why Redis closed a connection whose rejection could not be read', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.on('error', () => undefined);
      if (connections === 1) socket.end('-ERR max number of clients reached\r\n');
      else socket.once('data', () => socket.resetAndDestroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    create(`redis://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await connectRedis(client).catch(() => undefined);
    await eventually(() => connections > 3 && errors.length > 2, 'the client tries again');
    closeRedis(client);
    server.close();
    expect(errors).to.have.length.greaterThan(2);
    expect(new Set(errors.map(({ message }) => message))).to.deep.equal(
      new Set(['ERR max number of clients reached']),
    );
  });

  describe('with Sentinels', () => {
    let other: RedisServer;
    let first: FakeSentinel;
    let second: FakeSentinel;

    const isConnectedTo = (server: RedisServer): boolean => client.stream.remotePort === server.port;

    beforeEach(async () => {
      other = await RedisServer.start();
      first = await FakeSentinel.start(redis.port);
      second = await FakeSentinel.start(redis.port);
      create(`redis-sentinel://127.0.0.1:${first.port},127.0.0.1:${second.port}/main`);
      await connectRedis(client);
      await eventually(
        () => first.subscribers.size + second.subscribers.size === 2,
        'the client subscribes to both',
      );
    });

    afterEach(async () => {
      first.stop();
      second.stop();
      await other.stop();
    });

    it('reconnects once to the new master when Sentinels announce it', async () => {
      const connects: number[] = [];
      client.on('ready', () => connects.push(client.stream.remotePort ?? 0));
      second.masterPort = other.port;
      first.switchTo(other.port);
      second.switchTo(other.port);
      await eventually(
        () => client.status === 'ready' && isConnectedTo(other),
        'the client is connected to the new master',
      );
      await client.ping();
      expect(connects).to.deep.equal([other.port]);
    });

    it('reconnects to the new master if it is announced while the client connects to the old one', async () => {
      redis.signal('SIGSTOP');
      first.switchTo(other.port);
      await eventually(
        () => client.status === 'connect' && isConnectedTo(redis),
        'the client connects to the old one again',
      );
      second.switchTo(other.port);
      redis.signal('SIGCONT');
      await eventually(
        () => client.status === 'ready' && isConnectedTo(other),
        'the client is connected to the new master',
      );
    });

    it('disconnects from the Sentinels when it is closed, also while it reconnects', async () => {
      await redis.kill();
      await eventually(() => client.status !== 'ready', 'the client notices the loss');
      closeRedis(client);
      await eventually(
        () => first.subscribers.size + second.subscribers.size === 0,
        'no Sentinel has a subscriber',
      );
    });
  });
});
