import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { RefusalError } from '../../../src/shared/errors/catalogue.ts';
import { silentLog } from '../../../src/shared/log.ts';
import type { Publication } from '../../../src/shared/model/publication.ts';
import { createStats } from '../../../src/shared/stats.ts';
import { RedisBroker } from '../../../src/worker/broker/redis-broker.ts';
import { eventually, within } from '../../support/deadline.ts';
import { freePort, RedisServer } from '../../support/redis-server.ts';

describe('the redis broker', () => {
  const stats = createStats();
  let redis: RedisServer;
  let broker: RedisBroker;
  let heard: { topic: string; publication: Publication }[];

  async function open(url = redis.url, log = silentLog()): Promise<void> {
    heard = [];
    broker = new RedisBroker({ url, prefix: '', maxBytes: 10_000, stats, log });
    await broker.open({
      deliver: (topic, publication) => void heard.push({ topic, publication }),
      control: () => undefined,
      linkChanged: () => undefined,
    });
  }

  /** A log, and the reasons of its warnings. */
  function reasonLog() {
    const reasons: unknown[] = [];
    const warn = ({ reason }: { reason: unknown }): void => void reasons.push(reason);
    return { reasons, log: Object.assign(silentLog(), { warn }) };
  }

  const refusalOf = (error: unknown): string =>
    error instanceof RefusalError ? error.refusal.code : String(error);
  const publish = (data: string): Promise<string> =>
    broker.publish('demo@news', { channel: 'news', event: 'e', data }).then(() => 'taken', refusalOf);

  beforeEach(async () => {
    redis = await RedisServer.start();
  });

  afterEach(async () => {
    await broker.close();
    await redis.stop();
  });

  it('takes an envelope typed into redis-cli', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('PUBLISH', 'demo@news', '{"channel":"news","event":"tick","data":{"n":1.0}}');
    await eventually(() => heard.length === 1, 'it was heard');
    expect(heard[0]?.publication).to.deep.equal({ channel: 'news', event: 'tick', data: '{"n":1.0}' });
  });

  it('does not keep what is typed into redis-cli, and says so', async () => {
    await open();
    await broker.subscribe('demo@cache-news');
    await broker.publish('demo@cache-news', { channel: 'cache-news', event: 'e', data: '1' });
    await redis.command('PUBLISH', 'demo@cache-news', '{"channel":"cache-news","event":"typed","data":2}');
    await eventually(() => heard.length === 2, 'both were heard');
    expect(heard.map(({ publication }) => publication.kept)).to.deep.equal([true, undefined]);
    expect((await broker.kept('demo@cache-news'))?.publication.event).to.equal('e');
  });

  it('takes the forms of the seed, whose event is gusher.push unless it is named', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('PUBLISH', 'gusher:backpush', '{"app_key":"demo","channel":"news","data":{"a":1}}');
    await redis.command('PUBLISH', 'gusher:backpush:demo', '{"channel":"news","event":"x","data":[]}');
    await redis.command('PUBLISH', 'gusher:backpush:other', '{"channel":"news","data":{}}');
    await eventually(() => heard.length === 2, 'both were heard');
    expect(heard.map(({ publication }) => publication)).to.deep.equal([
      { channel: 'news', event: 'gusher.push', data: '{"a":1}' },
      { channel: 'news', event: 'x', data: '[]' },
    ]);
  });

  it('drops what is no publication, counts it and tells so', async () => {
    const told: unknown[] = [];
    const warn = (_facts: unknown, sentence: string): unknown => told.push(sentence);
    await open(redis.url, Object.assign(silentLog(), { warn }));
    await broker.subscribe('demo@news');
    const before = stats.publicationsMalformed;
    const rubbish = ['', 'x', '[]', '{}', '{"channel":"news"}', '{"channel":1,"event":"e"}', '{"event":"e"}'];
    const wrong = [
      '{"channel":"other","event":"e","data":1}',
      `{"channel":"news","event":"${'e'.repeat(300)}"}`,
    ];
    const tooLong = `{"channel":"news","event":"e","data":"${'x'.repeat(20_000)}"}`;
    const all = [...rubbish, ...wrong, tooLong];
    for (const text of all) await redis.command('PUBLISH', 'demo@news', text);
    await redis.command('PUBLISH', 'gusher:backpush', '{"channel":"news"}');
    await redis.command('PUBLISH', 'demo@news', '{"channel":"news","event":"good","data":1}');
    await eventually(() => heard.length > 0, 'the good one was heard');
    expect(heard.map(({ publication }) => publication.event)).to.deep.equal(['good']);
    expect(stats.publicationsMalformed - before).to.equal(all.length + 1);
    expect(told).to.deep.equal(['malformed message from Redis was dropped']);
  });

  it('refuses at once while Redis is gone, and is whole again when Redis is back', async () => {
    await open();
    for (let n = 0; n < 1_200; n += 1) void broker.subscribe(`demo@c${n}`);
    await broker.subscribe('demo@news');
    await redis.kill();
    await eventually(() => broker.link === 'lost', 'the loss is noticed');
    const asked = performance.now();
    expect(await publish('1')).to.equal('broker_lost');
    expect(performance.now() - asked).to.be.lessThan(1_000);
    await broker.subscribe('demo@late');
    broker.unsubscribe('demo@c7');
    await redis.restart();
    await eventually(() => broker.link === 'live', 'the link is back');
    expect(await publish('2')).to.equal('taken');
    for (const name of ['late', 'c7', 'c1199']) {
      await broker.publish(`demo@${name}`, { channel: name, event: 'e', data: '3' });
    }
    await eventually(() => heard.length === 3, 'everything wanted was heard');
    expect(heard.map(({ topic }) => topic)).to.deep.equal(['demo@news', 'demo@late', 'demo@c1199']);
  });

  /** Ends one of the two connections of the broker, as a network may. */
  async function end(name: 'publisher' | 'subscriber'): Promise<void> {
    const clients = await redis.command('CLIENT', 'LIST');
    const id = new RegExp(`id=(\\d+) [^\\n]*name=gusher:${name}`).exec(clients)?.[1];
    await redis.command('CLIENT', 'KILL', 'ID', String(id));
  }

  for (const name of ['publisher', 'subscriber'] as const) {
    it(`hears of what was subscribed to while the connection of the ${name} alone was away`, async () => {
      await open();
      await end(name);
      await eventually(() => broker.link === 'lost', 'the loss is noticed');
      const topics: string[] = [];
      while (broker.link === 'lost') {
        topics.push(`demo@c${topics.length}`);
        await broker.subscribe(topics.at(-1) ?? '');
        await new Promise(setImmediate);
      }
      for (const topic of topics) {
        await broker.publish(topic, { channel: topic.slice('demo@'.length), event: 'e', data: '1' });
      }
      await eventually(() => heard.length >= topics.length, 'everything wanted was heard');
      expect(heard.map(({ topic }) => topic)).to.deep.equal(topics);
    });
  }

  it('tells why the link is lost now, and not why it was before', async () => {
    const { reasons, log } = reasonLog();
    await open(redis.url, log);
    await redis.kill();
    await eventually(() => broker.link === 'lost', 'the loss is noticed');
    await redis.restart();
    await eventually(() => broker.link === 'live', 'the link is back');
    await end('subscriber');
    await eventually(() => reasons.length === 2, 'the second loss is told');
    expect(reasons[1]).to.equal('Redis ended the connection');
  });

  it('goes on with a Redis that can save nothing, which answers a PING with that', async () => {
    const { reasons, log } = reasonLog();
    await open(redis.url, log);
    const [, , , , folder = ''] = (await redis.command('CONFIG', 'GET', 'dir')).split('\r\n');
    mkdirSync(join(folder, 'dump.rdb'));
    await redis.command('CONFIG', 'SET', 'save', '3600 1000000');
    await redis.command('BGSAVE');
    await eventually(
      async () => /^-MISCONF/.test(await redis.command('PING')),
      'it says that it cannot save',
    );
    await broker.subscribe('demo@news');
    await broker.settle();
    expect(broker.link).to.equal('live');
    expect(await publish('1')).to.equal('taken');
    await eventually(() => heard.length === 1, 'it was heard');
    expect(await broker.kept('demo@news')).to.equal(undefined);
    // A new connection is asked by a PING whether it is told of all.
    await end('subscriber');
    await eventually(() => reasons.length === 1, 'the loss is noticed');
    await eventually(() => broker.link === 'live', 'the link is back');
  });

  /** Those of this helper too. */
  async function connectionsMade(): Promise<number> {
    return Number(/total_connections_received:(\d+)/.exec(await redis.command('INFO', 'stats'))?.[1]);
  }

  it('is lost while it may not subscribe, also from the start, and says why', async () => {
    const { reasons, log } = reasonLog();
    await redis.command('ACL', 'SETUSER', 'default', '-subscribe');
    await within(open(redis.url, log), 'the broker to be open');
    expect(broker.link).to.equal('lost');
    const before = await connectionsMade();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await connectionsMade()) - before, 'attempts without a pause').to.be.lessThan(8);
    await redis.command('ACL', 'SETUSER', 'default', '+subscribe');
    await eventually(() => broker.link === 'live', 'the link is there');
    await redis.command('ACL', 'SETUSER', 'default', '-subscribe');
    await broker.subscribe('demo@news');
    await eventually(() => broker.link === 'lost', 'the loss is noticed');
    expect(reasons).to.deep.equal(['Redis answers NOPERM', 'Redis answers NOPERM']);
  });

  it('notices a Redis that has stopped without a word', async () => {
    await open();
    await broker.subscribe('demo@news');
    redis.signal('SIGSTOP');
    await eventually(() => broker.link === 'lost', 'the loss is noticed');
    redis.signal('SIGCONT');
    await eventually(() => broker.link === 'live', 'the link is back');
    expect(await publish('1')).to.equal('taken');
    await eventually(() => heard.length === 1, 'it was heard');
  });

  it('waits for a Redis that is not there yet', async () => {
    const port = await freePort();
    await open(`redis://127.0.0.1:${port}`);
    expect(broker.link).to.equal('lost');
    expect(await publish('1')).to.equal('broker_lost');
  });
});
