import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { GusherError } from '../../../src/shared/errors/catalogue.ts';
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
  let rejected: string[];
  let received: { topic: string; publication: Publication }[];

  async function open(url = redis.url, log = silentLog()): Promise<void> {
    received = [];
    rejected = [];
    broker = new RedisBroker({ url, prefix: '', maxBytes: 10_000, stats, log });
    await broker.open({
      deliver: (topic, publication) => void received.push({ topic, publication }),
      control: () => undefined,
      statusChanged: () => undefined,
      refused: (topic) => void rejected.push(topic),
    });
  }

  /** A log, and the reasons of its warnings. */
  function reasonLog() {
    const reasons: unknown[] = [];
    const warn = ({ reason }: { reason?: unknown }): void => {
      if (reason !== undefined) reasons.push(reason);
    };
    return { reasons, log: Object.assign(silentLog(), { warn }) };
  }

  const errorOf = (error: unknown): string =>
    error instanceof GusherError ? error.entry.code : String(error);
  const publish = (data: string): Promise<string> =>
    broker.publish('demo@news', { channel: 'news', event: 'e', data }).then(() => 'taken', errorOf);

  beforeEach(async () => {
    redis = await RedisServer.start();
  });

  afterEach(async () => {
    await broker.close();
    await redis.stop();
  });

  it('refuses what Redis would not pass on to a subscriber, and stays connected', async () => {
    await open();
    await broker.subscribe('demo@news');
    expect(await publish(`"${'x'.repeat(33 * 1024 * 1024)}"`)).to.equal('publication_too_large');
    expect(await publish('"y"')).to.equal('taken');
    await eventually(() => received.length === 1, 'it was heard');
  });

  it('takes an envelope typed into redis-cli', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('PUBLISH', 'demo@news', '{"channel":"news","event":"tick","data":{"n":1.0}}');
    await eventually(() => received.length === 1, 'it was heard');
    expect(received[0]?.publication).to.deep.equal({ channel: 'news', event: 'tick', data: '{"n":1.0}' });
  });

  it('does not keep what is typed into redis-cli, and says so', async () => {
    await open();
    await broker.subscribe('demo@cache-news');
    await broker.publish('demo@cache-news', { channel: 'cache-news', event: 'e', data: '1' });
    await redis.command('PUBLISH', 'demo@cache-news', '{"channel":"cache-news","event":"typed","data":2}');
    await eventually(() => received.length === 2, 'both were heard');
    expect(received.map(({ publication }) => publication.cached)).to.deep.equal([true, undefined]);
    expect((await broker.cached('demo@cache-news'))?.publication.event).to.equal('e');
  });

  it('takes the forms of the seed, whose event is gusher.push unless it is named', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('PUBLISH', 'gusher:backpush', '{"app_key":"demo","channel":"news","data":{"a":1}}');
    await redis.command('PUBLISH', 'gusher:backpush:demo', '{"channel":"news","event":"x","data":[]}');
    await redis.command('PUBLISH', 'gusher:backpush:other', '{"channel":"news","data":{}}');
    await eventually(() => received.length === 2, 'both were heard');
    expect(received.map(({ publication }) => publication)).to.deep.equal([
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
    await eventually(() => received.length > 0, 'the good one was heard');
    expect(received.map(({ publication }) => publication.event)).to.deep.equal(['good']);
    expect(stats.publicationsMalformed - before).to.equal(all.length + 1);
    expect(told).to.deep.equal(['malformed message from Redis was dropped']);
  });

  it('refuses at once while Redis is gone, and is whole again when Redis is back', async () => {
    await open();
    for (let n = 0; n < 1_200; n += 1) void broker.subscribe(`demo@c${n}`);
    await broker.subscribe('demo@news');
    await redis.kill();
    await eventually(() => broker.status === 'disconnected', 'the loss is noticed');
    const asked = performance.now();
    expect(await publish('1')).to.equal('broker_unavailable');
    expect(performance.now() - asked).to.be.lessThan(1_000);
    await broker.subscribe('demo@late');
    broker.unsubscribe('demo@c7');
    await redis.restart();
    await eventually(() => broker.status === 'connected', 'the link is back');
    expect(await publish('2')).to.equal('taken');
    for (const name of ['late', 'c7', 'c1199']) {
      await broker.publish(`demo@${name}`, { channel: name, event: 'e', data: '3' });
    }
    await eventually(() => received.length === 3, 'everything wanted was heard');
    expect(received.map(({ topic }) => topic)).to.deep.equal(['demo@news', 'demo@late', 'demo@c1199']);
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
      await eventually(() => broker.status === 'disconnected', 'the loss is noticed');
      const topics: string[] = [];
      while (broker.status === 'disconnected') {
        topics.push(`demo@c${topics.length}`);
        await broker.subscribe(topics.at(-1) ?? '');
        await new Promise(setImmediate);
      }
      for (const topic of topics) {
        await broker.publish(topic, { channel: topic.slice('demo@'.length), event: 'e', data: '1' });
      }
      await eventually(() => received.length >= topics.length, 'everything wanted was heard');
      expect(received.map(({ topic }) => topic)).to.deep.equal(topics);
    });
  }

  it('tells why the link is lost now, and not why it was before', async () => {
    const { reasons, log } = reasonLog();
    await open(redis.url, log);
    await redis.kill();
    await eventually(() => broker.status === 'disconnected', 'the loss is noticed');
    await redis.restart();
    await eventually(() => broker.status === 'connected', 'the link is back');
    await end('subscriber');
    await eventually(() => broker.status === 'disconnected', 'the second loss is noticed');
    expect(reasons.at(-1)).to.equal('Redis ended the connection');
    expect(reasons).to.include('nothing listens at the Redis address');
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
    expect(broker.status).to.equal('connected');
    expect(await publish('1')).to.equal('taken');
    await eventually(() => received.length === 1, 'it was heard');
    expect(await broker.cached('demo@news')).to.equal(undefined);
    // A new connection is asked by a PING whether it is told of all.
    await end('subscriber');
    await eventually(() => reasons.length === 1, 'the loss is noticed');
    await eventually(() => broker.status === 'connected', 'the link is back');
  });

  /** Those of this helper too. */
  async function connectionsMade(): Promise<number> {
    return Number(/total_connections_received:(\d+)/.exec(await redis.command('INFO', 'stats'))?.[1]);
  }

  it('is lost while it may not subscribe, also from the start, and says why', async () => {
    const { reasons, log } = reasonLog();
    await redis.command('ACL', 'SETUSER', 'default', '-subscribe');
    await within(open(redis.url, log), 'the broker to be open');
    expect(broker.status).to.equal('disconnected');
    const before = await connectionsMade();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await connectionsMade()) - before, 'attempts without a pause').to.be.lessThan(8);
    await redis.command('ACL', 'SETUSER', 'default', '+subscribe');
    await eventually(() => broker.status === 'connected', 'the link is there');
    expect(reasons[0]).to.equal('Redis answers NOPERM');
  });

  describe('with an ACL that allows some channels', () => {
    const allow = (...channels: string[]): Promise<string> =>
      redis.command('ACL', 'SETUSER', 'default', 'resetchannels', '&gusher:*', ...channels);
    const outcomeOf = (subscribing: Promise<void>): Promise<string> => subscribing.then(() => 'ok', errorOf);

    it('refuses the others alone, in one turn and in turns of their own, and stays live', async () => {
      await allow('&demo@open*');
      await open();
      const topics = ['demo@open1', 'demo@secret1', 'demo@open2', 'demo@secret2'];
      const outcomes = await Promise.all(topics.map((topic) => outcomeOf(broker.subscribe(topic))));
      expect(outcomes).to.deep.equal(['ok', 'subscription_refused', 'ok', 'subscription_refused']);
      expect(await outcomeOf(broker.subscribe('demo@secret3'))).to.equal('subscription_refused');
      expect(broker.status).to.equal('connected');
      await broker.publish('demo@open2', { channel: 'open2', event: 'e', data: '1' });
      expect(received.map(({ topic }) => topic)).to.deep.equal(['demo@open2']);
      expect(await publish('1')).to.equal('broker_refused');
      expect(broker.status).to.equal('connected');
    });

    it('reports channels that are refused when the link returns', async () => {
      await allow('allchannels');
      await open();
      for (const name of ['open1', 'closed', 'open2']) await broker.subscribe(`demo@${name}`);
      await redis.command('ACL', 'SETUSER', 'default', 'resetchannels', '&gusher:*', '&demo@open*');
      await eventually(() => rejected.length === 1, 'it is refused');
      await eventually(() => broker.status === 'connected', 'the link is back');
      expect(rejected).to.deep.equal(['demo@closed']);
      await broker.publish('demo@open1', { channel: 'open1', event: 'e', data: '1' });
      expect(received).to.have.length(1);
    });

    it('acknowledges publications without a channel of its own', async () => {
      await redis.command('ACL', 'SETUSER', 'default', 'resetchannels', '&gusher:control', '&demo@*');
      await open();
      await broker.subscribe('demo@news');
      expect(await publish('1')).to.equal('taken');
      expect(received).to.have.length(1);
      expect(broker.health).to.deep.equal({});
    });
  });

  it('logs the reply to a refused publication once, and stays live', async () => {
    const lines: Record<string, unknown>[] = [];
    const warn = (facts: Record<string, unknown>): void => void lines.push(facts);
    await open(redis.url, Object.assign(silentLog(), { warn }));
    await redis.command('ACL', 'SETUSER', 'default', '-publish');
    expect([await publish('1'), await publish('2')]).to.deep.equal(['broker_refused', 'broker_refused']);
    await eventually(() => broker.health.reason === 'Redis answers NOPERM', 'the health tells');
    const told = lines.filter(({ command }) => command === 'publish');
    expect(told).to.have.length(1);
    expect(told[0]).to.include({ event: 'redis_command_refused', name: 'demo@news' });
    expect(told[0]?.reply).to.match(/^NOPERM .*publish/);
    expect(broker.status).to.equal('connected');
    await redis.command('ACL', 'SETUSER', 'default', '+publish');
    await eventually(() => broker.health.reason === undefined, 'it is whole again');
  });

  it('tells by its health that the memory of Redis is full', async () => {
    await open();
    expect(broker.health.roundTripMs).to.be.within(0, 2_000);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    await eventually(() => broker.health.reason === 'Redis answers OOM', 'the health tells');
    expect(await publish('1')).to.equal('taken');
    const cached = { channel: 'cache-news', event: 'e', data: '1' };
    expect(await broker.publish('demo@cache-news', cached).then(() => 'taken', errorOf)).to.equal(
      'broker_refused',
    );
  });

  it('tells why Redis does not serve it: too many clients', async () => {
    await redis.command('CONFIG', 'SET', 'maxclients', '1');
    const { reasons, log } = reasonLog();
    await open(redis.url, log);
    await eventually(
      () => reasons.includes('Redis has as many clients as it may have (maxclients)'),
      'the reason is logged',
    );
    expect(broker.health.reason).to.match(/maxclients/);
  });

  it('refuses to publish through a master that was demoted, while its connections stay open', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    await eventually(() => broker.status === 'disconnected', 'it is noticed');
    expect(await publish('1')).to.equal('broker_unavailable');
    expect(broker.health.reason).to.match(/replica/);
    await redis.command('REPLICAOF', 'NO', 'ONE');
    await eventually(() => broker.status === 'connected', 'the link is back');
    expect(await publish('2')).to.equal('taken');
    expect(received).to.have.length(1);
  });

  it('notices a demoted master by its reply to a write where ROLE and INFO are forbidden', async () => {
    await redis.command('ACL', 'SETUSER', 'default', '-role', '-info');
    await open();
    expect(broker.status).to.equal('connected');
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    await eventually(() => broker.status === 'disconnected', 'it is noticed');
    expect(broker.health.reason).to.match(/replica/);
  });

  it('leaves a server that is not the one of the other workers', async () => {
    await open();
    const connected = await connectionsMade();
    broker.follow(broker.server ?? '');
    expect(broker.status).to.equal('connected');
    broker.follow('another');
    expect(broker.status).to.equal('disconnected');
    await eventually(() => broker.status === 'connected', 'the link is back');
    expect((await connectionsMade()) - connected).to.be.at.least(2);
  });

  it('does not know the outcome while Redis does not answer, and does when it is asked again', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('CLIENT', 'PAUSE', '2500', 'WRITE');
    expect(await publish('1')).to.equal('outcome_unknown');
    expect(await publish('1')).to.equal('taken');
    expect(broker.status).to.equal('connected');
  });

  it('acknowledges nothing that its own subscriber connection did not deliver', async () => {
    await open();
    await broker.subscribe('demo@news');
    const acknowledged: string[] = [];
    let number = 0;
    for (let kill = 0; kill < 10; kill += 1) {
      await eventually(() => broker.status === 'connected', 'the link is live');
      const publishing: Promise<void>[] = [];
      for (let burst = 0; burst < 40; burst += 1) {
        if (burst === 20) void redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
        for (let n = 0; n < 5; n += 1) {
          number += 1;
          const data = String(number);
          publishing.push(
            publish(data).then((outcome) => {
              if (outcome === 'taken') acknowledged.push(data);
            }),
          );
        }
        await new Promise(setImmediate);
      }
      await Promise.all(publishing);
      await eventually(() => broker.status === 'connected', 'the link is live');
    }
    const delivered = new Set(received.map(({ publication }) => publication.data));
    expect(acknowledged.filter((data) => !delivered.has(data))).to.deep.equal([]);
    expect(acknowledged.length).to.be.greaterThan(100);
  });

  it('notices a Redis that has stopped without a word', async () => {
    await open();
    await broker.subscribe('demo@news');
    redis.signal('SIGSTOP');
    await eventually(() => broker.status === 'disconnected', 'the loss is noticed');
    redis.signal('SIGCONT');
    await eventually(() => broker.status === 'connected', 'the link is back');
    expect(await publish('1')).to.equal('taken');
    await eventually(() => received.length === 1, 'it was heard');
  });

  it('waits for a Redis that is not there yet', async () => {
    const port = await freePort();
    await open(`redis://127.0.0.1:${port}`);
    expect(broker.status).to.equal('disconnected');
    expect(await publish('1')).to.equal('broker_unavailable');
  });
});
