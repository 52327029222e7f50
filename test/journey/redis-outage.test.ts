import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { freePort, RedisServer } from '../support/redis-server.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const CLIENTS = 20;

describe('Redis outage', () => {
  it('keeps clients, rejects publications, and restores subscriptions afterwards', async () => {
    const redis = await RedisServer.start();
    const gusher = await startGusher({ workers: 2, redisUrl: redis.url });
    const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
    const traffic = publishOnAndOn(gusher);

    await redis.kill();
    await ready(gusher, 503);
    const rejected = await gusher.publish('news', 'tick', 'lost');
    expect(rejected.status).to.equal(503);
    expect(await rejected.json()).to.have.nested.property('error.code', 'broker_unavailable');
    expect((await fetch(`${gusher.api}/healthz`)).status).to.equal(200);

    await redis.restart();
    await ready(gusher, 200);
    expect((await gusher.publish('news', 'tick', 'back')).status).to.equal(200);
    await Promise.all(subscribers.map((subscriber) => subscriber.hasReceived('back')));
    for (const { client } of subscribers) expect(client.socket.readyState).to.equal(client.socket.OPEN);
    const statuses = await traffic.stop();
    expect([...statuses].sort()).to.deep.equal([200, 503]);
    for (const { received } of subscribers) expect(new Set(received).size).to.equal(received.length);
    disconnectAll(subscribers);
    expect(await gusher.stop()).to.equal(0);
    await redis.stop();
  });

  it('delays readiness until Redis is available, if it was down at the start', async () => {
    const port = await freePort();
    const gusher = await startGusher({
      workers: 2,
      redisUrl: `redis://127.0.0.1:${port}`,
      env: { GUSHER_HEADERS_TIMEOUT_MS: '2000' },
    });
    await ready(gusher, 503);
    expect((await gusher.publish('news', 'tick', 1)).status).to.equal(503);
    const redis = await RedisServer.startOn(port);
    await redis.command('HSET', 'shop', 'channels', '["*"]');
    await ready(gusher, 200);
    const subscribers = await Subscriber.connectMany(4, gusher.clientUrl('shop'), 'news');
    expect((await gusher.publish('news', 'tick', 'at last', 'shop')).status).to.equal(200);
    await Promise.all(subscribers.map((subscriber) => subscriber.hasReceived('at last')));
    disconnectAll(subscribers);
    expect(await gusher.stop()).to.equal(0);
    await redis.stop();
  });
});

/** Waits until every worker returns the status; the responding worker is random. */
function ready(gusher: RunningGusher, status: number): Promise<void> {
  return eventually(async () => {
    const requests = Array.from({ length: 6 }, () =>
      fetch(`${gusher.api}/readyz`, { headers: { Connection: 'close' } }),
    );
    const answers = await Promise.all(requests);
    await Promise.all(answers.map((answer) => answer.text()));
    return answers.every((answer) => answer.status === status);
  }, `readiness is ${status}`);
}

/** Publishes without pause; `stop` returns the statuses. */
function publishOnAndOn(gusher: RunningGusher): { stop: () => Promise<Set<number>> } {
  const statuses = new Set<number>();
  let stopped = false;
  const run = async (): Promise<void> => {
    for (let number = 0; !stopped; number += 1) {
      const response = await gusher.publish('news', 'tick', number);
      await response.text();
      statuses.add(response.status);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const running = run();
  return {
    async stop() {
      stopped = true;
      await running;
      return statuses;
    },
  };
}
