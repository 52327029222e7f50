import { expect } from 'chai';
import { RedisAppStore } from '../../../src/shared/apps/redis-app-store.ts';
import { eventually } from '../../support/deadline.ts';
import { RedisServer } from '../../support/redis-server.ts';

describe('RedisAppStore, when Redis does not answer', () => {
  let redis: RedisServer;
  let store: RedisAppStore;

  beforeEach(async () => {
    redis = await RedisServer.start();
    store = new RedisAppStore({ url: redis.url, prefix: '' });
  });

  afterEach(async () => {
    await store.close();
    await redis.stop();
  });

  /** Returns the id that Redis has for the connection of the store. */
  async function connectionId(): Promise<string | undefined> {
    const clients = await redis.command('CLIENT', 'LIST');
    return /id=(\d+) [^\n]*name=gusher:apps/.exec(clients)?.[1];
  }

  it('replaces its connection, because the old one may be broken', async () => {
    expect(await store.load('shop')).to.equal(undefined);
    const first = await connectionId();
    redis.signal('SIGSTOP');
    const warnings: Error[] = [];
    const warn = (warning: Error): unknown => warnings.push(warning);
    process.on('warning', warn);
    const keys = Array.from({ length: 30 }, (_, number) => `shop-${number}`);
    const outcomes = await Promise.all(keys.map((key) => store.load(key).catch((error) => error.message)));
    expect(new Set(outcomes)).to.deep.equal(new Set(['Redis did not answer in time']));
    redis.signal('SIGCONT');
    await eventually(
      () =>
        store.load('shop').then(
          () => true,
          () => false,
        ),
      'the store can load apps',
    );
    expect(await connectionId()).to.not.equal(first);
    process.off('warning', warn);
    expect(warnings, 'listeners for each lookup').to.deep.equal([]);
  });
});
