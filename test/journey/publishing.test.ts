import { expect } from 'chai';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { RedisServer } from '../support/redis-server.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const CLIENTS = 12;
const MESSAGES = 25;

describe('Publishing', () => {
  let redis: RedisServer;

  before(async () => {
    redis = await RedisServer.start();
  });

  after(() => redis.stop());

  for (const broker of ['embedded', 'Redis']) {
    for (const workers of [1, 2, 4]) {
      it(`reaches the clients of ${workers} worker(s), ${broker}, each message once and in order`, async () => {
        const redisUrl = broker === 'Redis' ? { redisUrl: redis.url } : {};
        const gusher = await startGusher({ workers, ...redisUrl });
        try {
          await publishToAll(gusher);
        } finally {
          expect(await gusher.stop()).to.equal(0);
        }
      });
    }
  }
});

async function publishToAll(gusher: RunningGusher): Promise<void> {
  const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
  const others = await Subscriber.connectMany(2, gusher.clientUrl(), 'other');
  const numbers = Array.from({ length: MESSAGES }, (_, number) => number);
  for (const number of numbers) {
    const response = await gusher.publish('news', 'tick', number);
    expect(response.status).to.equal(200);
    expect(await response.json()).to.deep.equal({ channel: 'news', event: 'tick', data: number });
  }
  await Promise.all(subscribers.map((subscriber) => subscriber.hasReceived(MESSAGES - 1)));
  for (const { received } of subscribers) expect(received).to.deep.equal(numbers);
  for (const { received } of others) expect(received).to.deep.equal([]);
  disconnectAll([...subscribers, ...others]);
}
