import { expect } from 'chai';
import { RedisAppStore } from '../../../src/shared/apps/redis-app-store.ts';
import { eventually } from '../../support/deadline.ts';
import { RedisServer } from '../../support/redis-server.ts';

describe('apps in a Redis that does not answer', () => {
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

  /** What Redis calls the connection over which apps are looked up. */
  async function connectionId(): Promise<string | undefined> {
    const clients = await redis.command('CLIENT', 'LIST');
    return /id=(\d+) [^\n]*name=gusher:apps/.exec(clients)?.[1];
  }

  it('are looked up over a new connection: nobody knows whether the old one still leads anywhere', async () => {
    expect(await store.load('shop')).to.equal(undefined);
    const first = await connectionId();
    redis.signal('SIGSTOP');
    const warnings: Error[] = [];
    const warn = (warning: Error): unknown => warnings.push(warning);
    process.on('warning', warn);
    const keys = Array.from({ length: 30 }, (_, number) => `shop-${number}`);
    const outcomes = await Promise.all(keys.map((key) => store.load(key).catch((error) => error.message)));
    expect(new Set(outcomes)).to.deep.equal(new Set(['Redis does not answer']));
    redis.signal('SIGCONT');
    await eventually(
      () =>
        store.load('shop').then(
          () => true,
          () => false,
        ),
      'apps are looked up',
    );
    expect(await connectionId()).to.not.equal(first);
    process.off('warning', warn);
    expect(warnings, 'listeners for each lookup').to.deep.equal([]);
  });
});
