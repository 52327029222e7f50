import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { GusherError } from '../../../../src/shared/errors/catalogue.ts';
import { createStats } from '../../../../src/shared/metrics/stats.ts';
import type { Publication } from '../../../../src/shared/model/publication.ts';
import { RedisBroker } from '../../../../src/worker/broker/redis/redis-broker.ts';
import { eventually, within } from '../../../support/deadline.ts';
import { recordingLog } from '../../../support/recording-log.ts';
import { freePort, RedisServer } from '../../../support/redis-server.ts';
import { silentLog } from '../../../support/silent-log.ts';
import { TcpProxy } from '../../../support/tcp-proxy.ts';

describe('RedisBroker', () => {
  const stats = createStats();
  let redis: RedisServer;
  let broker: RedisBroker;
  let rejected: string[];
  let received: { topic: string; publication: Publication }[];

  let connectedWorkers = 1;
  const createBroker = (url: string, log = silentLog()): RedisBroker =>
    new RedisBroker({
      ...{ url, prefix: '', hostId: 'host', maxBytes: 10_000, stats, log },
      connectedWorkers: () => connectedWorkers,
    });

  async function open(url = redis.url, log = silentLog()): Promise<void> {
    received = [];
    rejected = [];
    broker = createBroker(url, log);
    await broker.open({
      deliver: (topic, publication) => void received.push({ topic, publication }),
      control: () => undefined,
      statusChanged: () => undefined,
      subscriptionRejected: (topic) => void rejected.push(topic),
    });
  }

  /** A log, and the reasons of its warnings so far. */
  function reasonLog() {
    const { log, lines } = recordingLog();
    const warnings = () => lines.filter(({ level, reason }) => level === 'warn' && reason !== undefined);
    return { log, reasons: () => warnings().map(({ reason }) => reason) };
  }

  const errorOf = (error: unknown): string =>
    error instanceof GusherError ? error.entry.code : String(error);
  const publish = (data: string): Promise<string> =>
    broker.publish('demo@news', { channel: 'news', event: 'e', data }).then(() => 'accepted', errorOf);

  /** Closes the newest connection with that name. */
  async function killNewest(name: 'publisher' | 'subscriber'): Promise<void> {
    const clients = await redis.command('CLIENT', 'LIST');
    const ids = [...clients.matchAll(new RegExp(`id=(\\d+) [^\\n]*name=gusher:${name}`, 'g'))];
    await redis.command('CLIENT', 'KILL', 'ID', String(ids.at(-1)?.[1]));
  }

  beforeEach(async () => {
    redis = await RedisServer.start();
  });

  afterEach(async () => {
    await broker.close();
    await redis.stop();
  });

  it('rejects a publication above the output buffer limit of Redis, and stays connected', async () => {
    await open();
    await broker.subscribe('demo@news');
    expect(await publish(`"${'x'.repeat(33 * 1024 * 1024)}"`)).to.equal('publication_too_large');
    expect(await publish('"y"')).to.equal('accepted');
    await eventually(() => received.length === 1, 'the publication arrives');
  });

  it('sends the publications of one turn and their echo in one write', async () => {
    const proxy = await TcpProxy.start(redis.port);
    after(() => proxy.stop());
    await open(proxy.url);
    const writes: string[] = [];
    proxy.onWrite = (bytes) => void writes.push(bytes.toString('latin1'));
    for (let turn = 0; turn < 10; turn += 1) {
      const outcomes = await Promise.all([publish(`"${turn}a"`), publish(`"${turn}b"`)]);
      expect(outcomes).to.deep.equal(['accepted', 'accepted']);
    }
    const publishing = writes.filter((text) => text.includes('demo@news'));
    expect(publishing).to.have.length(10);
    for (const text of publishing) {
      expect(text.match(/demo@news/g)).to.have.length(2);
      expect(text.indexOf('gusher:echo:')).to.be.greaterThan(text.lastIndexOf('demo@news'));
    }
  });

  describe('with another worker of its host', () => {
    let other: RedisBroker;

    beforeEach(async () => {
      connectedWorkers = 2;
      await open();
      other = createBroker(redis.url);
      const ignore = (): void => undefined;
      await other.open({
        deliver: ignore,
        control: ignore,
        statusChanged: ignore,
        subscriptionRejected: ignore,
      });
      expect(await publish('1')).to.equal('accepted');
    });

    afterEach(async () => {
      connectedWorkers = 1;
      await other.close();
    });

    it('rejects with outcome_unknown if Redis has closed the connection of the other worker', async () => {
      const publishing = killNewest('subscriber').then(() => publish('2'));
      expect(await publishing).to.equal('outcome_unknown');
      expect(broker.status).to.equal('connected');
      await eventually(() => other.status === 'connected', 'the other worker reconnects');
      expect(await publish('3')).to.equal('accepted');
    });

    it('acknowledges if the other worker turns out to have exited', async () => {
      await other.close();
      const publishing = publish('2');
      await new Promise(setImmediate);
      connectedWorkers = 1;
      expect(await publishing).to.equal('accepted');
    });

    it('acknowledges without counting workers if the ACL forbids PUBSUB', async () => {
      await redis.command('ACL', 'SETUSER', 'default', '-pubsub');
      expect(await publish('2')).to.equal('accepted');
    });
  });

  it('publishes after an outage only when the workers of the other hosts are connected again', async () => {
    // A worker of another host; its connection ends with Redis.
    const connectWorker = (): void => {
      const worker = connect(redis.port, '127.0.0.1').on('error', () => undefined);
      worker.write('SUBSCRIBE gusher:echo:workers\r\n');
    };
    connectWorker();
    await open();
    await eventually(() => broker.health.workers === 2, 'both are counted');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await eventually(() => broker.status === 'disconnected', 'the broker disconnects');
    await eventually(
      async () =>
        /gusher:echo:workers\r\n:1/.test(await redis.command('PUBSUB', 'NUMSUB', 'gusher:echo:workers')),
      'the broker is subscribed again',
    );
    expect(await publish('1')).to.equal('broker_unavailable');
    connectWorker();
    await eventually(() => broker.status === 'connected', 'the broker is connected');
    expect(await publish('2')).to.equal('accepted');
  });

  it('delivers an envelope that redis-cli published', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('PUBLISH', 'demo@news', '{"channel":"news","event":"tick","data":{"n":1.0}}');
    await eventually(() => received.length === 1, 'the publication arrives');
    expect(received[0]?.publication).to.deep.equal({ channel: 'news', event: 'tick', data: '{"n":1.0}' });
  });

  it('does not cache an envelope that redis-cli published, nor flag it as cached', async () => {
    await open();
    await broker.subscribe('demo@cache-news');
    await broker.publish('demo@cache-news', { channel: 'cache-news', event: 'e', data: '1' });
    await redis.command('PUBLISH', 'demo@cache-news', '{"channel":"cache-news","event":"typed","data":2}');
    await eventually(() => received.length === 2, 'both publications arrive');
    expect(received.map(({ publication }) => publication.cached)).to.deep.equal([true, undefined]);
    expect((await broker.cached('demo@cache-news'))?.publication.event).to.equal('e');
  });

  it('delivers pushes in upstream form, with the event gusher.push by default', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('PUBLISH', 'gusher:backpush', '{"app_key":"demo","channel":"news","data":{"a":1}}');
    await redis.command('PUBLISH', 'gusher:backpush:demo', '{"channel":"news","event":"x","data":[]}');
    await redis.command('PUBLISH', 'gusher:backpush:other', '{"channel":"news","data":{}}');
    await eventually(() => received.length === 2, 'both publications arrive');
    expect(received.map(({ publication }) => publication)).to.deep.equal([
      { channel: 'news', event: 'gusher.push', data: '{"a":1}' },
      { channel: 'news', event: 'x', data: '[]' },
    ]);
  });

  it('drops, counts and logs malformed messages', async () => {
    const { log, lines } = recordingLog();
    await open(redis.url, log);
    await broker.subscribe('demo@news');
    const before = stats.publicationsMalformed;
    const malformed = [
      '',
      'x',
      '[]',
      '{}',
      '{"channel":"news"}',
      '{"channel":1,"event":"e"}',
      '{"event":"e"}',
    ];
    const invalid = [
      '{"channel":"other","event":"e","data":1}',
      `{"channel":"news","event":"${'e'.repeat(300)}"}`,
    ];
    const tooLong = `{"channel":"news","event":"e","data":"${'x'.repeat(20_000)}"}`;
    const all = [...malformed, ...invalid, tooLong];
    for (const text of all) await redis.command('PUBLISH', 'demo@news', text);
    await redis.command('PUBLISH', 'gusher:backpush', '{"channel":"news"}');
    await redis.command('PUBLISH', 'demo@news', '{"channel":"news","event":"valid","data":1}');
    await eventually(() => received.length > 0, 'the valid publication arrives');
    expect(received.map(({ publication }) => publication.event)).to.deep.equal(['valid']);
    expect(stats.publicationsMalformed - before).to.equal(all.length + 1);
    expect(lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).to.deep.equal([
      'malformed message from Redis was dropped',
    ]);
  });

  it('rejects publications immediately while Redis is down, and restores all subscriptions afterwards', async () => {
    await open();
    for (let n = 0; n < 1_200; n += 1) void broker.subscribe(`demo@c${n}`);
    await broker.subscribe('demo@news');
    await redis.kill();
    await eventually(() => broker.status === 'disconnected', 'the broker disconnects');
    const startedAt = performance.now();
    expect(await publish('1')).to.equal('broker_unavailable');
    expect(performance.now() - startedAt).to.be.lessThan(1_000);
    await broker.subscribe('demo@late');
    broker.unsubscribe('demo@c7');
    await redis.restart();
    await eventually(() => broker.status === 'connected', 'the broker reconnects');
    expect(await publish('2')).to.equal('accepted');
    for (const name of ['late', 'c7', 'c1199']) {
      await broker.publish(`demo@${name}`, { channel: name, event: 'e', data: '3' });
    }
    await eventually(() => received.length === 3, 'all publications arrive');
    expect(received.map(({ topic }) => topic)).to.deep.equal(['demo@news', 'demo@late', 'demo@c1199']);
  });

  /** Closes one of the two connections of the broker. */
  async function killConnection(name: 'publisher' | 'subscriber'): Promise<void> {
    const clients = await redis.command('CLIENT', 'LIST');
    const id = new RegExp(`id=(\\d+) [^\\n]*name=gusher:${name}`).exec(clients)?.[1];
    await redis.command('CLIENT', 'KILL', 'ID', String(id));
  }

  for (const name of ['publisher', 'subscriber'] as const) {
    it(`receives publications of topics that were subscribed to while the ${name} connection was lost`, async () => {
      await open();
      await killConnection(name);
      await eventually(() => broker.status === 'disconnected', 'the broker disconnects');
      const topics: string[] = [];
      while (broker.status === 'disconnected') {
        topics.push(`demo@c${topics.length}`);
        await broker.subscribe(topics.at(-1) ?? '');
        await new Promise(setImmediate);
      }
      for (const topic of topics) {
        await broker.publish(topic, { channel: topic.slice('demo@'.length), event: 'e', data: '1' });
      }
      await eventually(() => received.length >= topics.length, 'all publications arrive');
      expect(received.map(({ topic }) => topic)).to.deep.equal(topics);
    });
  }

  it('logs the reason of the latest disconnect', async () => {
    const { reasons, log } = reasonLog();
    await open(redis.url, log);
    await redis.kill();
    const noServer = 'no server listens at the address of Redis; start Redis, or correct GUSHER_REDIS_URL';
    await eventually(() => reasons().includes(noServer), 'a failed attempt to reconnect');
    await redis.restart();
    await eventually(() => broker.status === 'connected', 'the broker reconnects');
    await killConnection('subscriber');
    await eventually(() => broker.status === 'disconnected', 'the broker disconnects again');
    expect(reasons().at(-1)).to.equal('Redis closed the connection');
  });

  it('works with a Redis that cannot save and replies MISCONF to PING', async () => {
    const { reasons, log } = reasonLog();
    await open(redis.url, log);
    const [, , , , folder = ''] = (await redis.command('CONFIG', 'GET', 'dir')).split('\r\n');
    mkdirSync(join(folder, 'dump.rdb'));
    await redis.command('CONFIG', 'SET', 'save', '3600 1000000');
    await redis.command('BGSAVE');
    await eventually(async () => /^-MISCONF/.test(await redis.command('PING')), 'Redis replies MISCONF');
    await broker.subscribe('demo@news');
    await broker.settle();
    expect(broker.status).to.equal('connected');
    expect(await publish('1')).to.equal('accepted');
    await eventually(() => received.length === 1, 'the publication arrives');
    expect(await broker.cached('demo@news')).to.equal(undefined);
    // The broker confirms a new connection with a PING.
    await killConnection('subscriber');
    await eventually(() => reasons().length === 1, 'the reason is logged');
    await eventually(() => broker.status === 'connected', 'the broker reconnects');
  });

  /** Includes the connections of this test itself. */
  async function connectionsMade(): Promise<number> {
    return Number(/total_connections_received:(\d+)/.exec(await redis.command('INFO', 'stats'))?.[1]);
  }

  it('disconnects while the ACL forbids SUBSCRIBE, also at start, and logs the reason', async () => {
    const { reasons, log } = reasonLog();
    await redis.command('ACL', 'SETUSER', 'default', '-subscribe');
    await within(open(redis.url, log), 'the broker to be open');
    expect(broker.status).to.equal('disconnected');
    const before = await connectionsMade();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await connectionsMade()) - before, 'attempts without a pause').to.be.lessThan(8);
    await redis.command('ACL', 'SETUSER', 'default', '+subscribe');
    await eventually(() => broker.status === 'connected', 'the broker connects');
    expect(reasons()[0]).to.match(/^the ACL of Redis forbids a command/);
  });

  describe('with an ACL that allows some channels', () => {
    const allow = (...channels: string[]): Promise<string> =>
      redis.command('ACL', 'SETUSER', 'default', 'resetchannels', '&gusher:*', ...channels);
    const outcomeOf = (subscribing: Promise<void>): Promise<string> => subscribing.then(() => 'ok', errorOf);

    it('rejects only the other channels, in one turn or in separate turns, and stays connected', async () => {
      await allow('&demo@open*');
      await open();
      const topics = ['demo@open1', 'demo@secret1', 'demo@open2', 'demo@secret2'];
      const outcomes = await Promise.all(topics.map((topic) => outcomeOf(broker.subscribe(topic))));
      expect(outcomes).to.deep.equal(['ok', 'subscription_rejected', 'ok', 'subscription_rejected']);
      expect(await outcomeOf(broker.subscribe('demo@secret3'))).to.equal('subscription_rejected');
      expect(broker.status).to.equal('connected');
      await broker.publish('demo@open2', { channel: 'open2', event: 'e', data: '1' });
      expect(received.map(({ topic }) => topic)).to.deep.equal(['demo@open2']);
      expect(await publish('1')).to.equal('broker_rejected');
      expect(broker.status).to.equal('connected');
    });

    it('reports channels that Redis rejects on reconnect', async () => {
      await allow('allchannels');
      await open();
      for (const name of ['open1', 'closed', 'open2']) await broker.subscribe(`demo@${name}`);
      await redis.command('ACL', 'SETUSER', 'default', 'resetchannels', '&gusher:*', '&demo@open*');
      await eventually(() => rejected.length === 1, 'Redis rejects one channel');
      await eventually(() => broker.status === 'connected', 'the broker reconnects');
      expect(rejected).to.deep.equal(['demo@closed']);
      await broker.publish('demo@open1', { channel: 'open1', event: 'e', data: '1' });
      expect(received).to.have.length(1);
    });

    it('acknowledges publications without its echo channel', async () => {
      await redis.command('ACL', 'SETUSER', 'default', 'resetchannels', '&gusher:control', '&demo@*');
      await open();
      await broker.subscribe('demo@news');
      expect(await publish('1')).to.equal('accepted');
      expect(received).to.have.length(1);
      expect(broker.health.reason).to.equal(undefined);
    });
  });

  it('logs the reply to a rejected publication once, and stays connected', async () => {
    const { log, lines } = recordingLog();
    await open(redis.url, log);
    await redis.command('ACL', 'SETUSER', 'default', '-publish');
    expect([await publish('1'), await publish('2')]).to.deep.equal(['broker_rejected', 'broker_rejected']);
    const reason = /forbids a command.* \(publish gusher:echo:\S+: NOPERM .*'publish'/;
    await eventually(() => reason.test(broker.health.reason ?? ''), 'the health has the reason');
    const logged = lines.filter(({ command }) => command === 'publish');
    expect(logged).to.have.length(1);
    expect(logged[0]).to.include({ event: 'redis_command_rejected', name: 'demo@news' });
    expect(logged[0]?.reply).to.match(/^NOPERM .*publish/);
    expect(broker.status).to.equal('connected');
    await redis.command('ACL', 'SETUSER', 'default', '+publish');
    await eventually(() => broker.health.reason === undefined, 'the health has no reason');
  });

  it('reports in its health that the memory of Redis is full', async () => {
    await open();
    expect(broker.health.roundTripMs).to.be.within(0, 2_000);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    await eventually(
      () => broker.health.reason?.startsWith('Redis has reached maxmemory') === true,
      'the health has it',
    );
    expect(await publish('1')).to.equal('accepted');
    const cached = { channel: 'cache-news', event: 'e', data: '1' };
    expect(await broker.publish('demo@cache-news', cached).then(() => 'accepted', errorOf)).to.equal(
      'broker_rejected',
    );
  });

  it('logs that Redis has too many clients', async () => {
    await redis.command('CONFIG', 'SET', 'maxclients', '1');
    const { reasons, log } = reasonLog();
    await open(redis.url, log);
    await eventually(
      () => reasons().includes('Redis has reached its limit of clients; raise maxclients'),
      'the reason is logged',
    );
    expect(broker.health.reason).to.match(/maxclients/);
  });

  it('disconnects from a demoted master although its connections stay open', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    await eventually(() => broker.status === 'disconnected', 'the broker disconnects');
    expect(await publish('1')).to.equal('broker_unavailable');
    expect(broker.health.reason).to.match(/replica/);
    await redis.command('REPLICAOF', 'NO', 'ONE');
    await eventually(() => broker.status === 'connected', 'the broker reconnects');
    expect(await publish('2')).to.equal('accepted');
    expect(received).to.have.length(1);
  });

  it('detects a demoted master by its reply to a write where the ACL forbids ROLE and INFO', async () => {
    await redis.command('ACL', 'SETUSER', 'default', '-role', '-info');
    await open();
    expect(broker.status).to.equal('connected');
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    await eventually(() => broker.status === 'disconnected', 'the broker disconnects');
    expect(broker.health.reason).to.match(/replica/);
  });

  it('reconnects if the other workers use another server', async () => {
    await open();
    const connected = await connectionsMade();
    broker.follow(broker.server ?? '');
    expect(broker.status).to.equal('connected');
    broker.follow('another');
    expect(broker.status).to.equal('disconnected');
    await eventually(() => broker.status === 'connected', 'the broker reconnects');
    expect((await connectionsMade()) - connected).to.be.at.least(2);
  });

  it('rejects with outcome_unknown while Redis does not answer, and accepts the repeat', async () => {
    await open();
    await broker.subscribe('demo@news');
    await redis.command('CLIENT', 'PAUSE', '2500', 'WRITE');
    expect(await publish('1')).to.equal('outcome_unknown');
    expect(await publish('1')).to.equal('accepted');
    expect(broker.status).to.equal('connected');
  });

  it('acknowledges only publications that its own subscriber connection delivered', async () => {
    await open();
    await broker.subscribe('demo@news');
    const acknowledged: string[] = [];
    let number = 0;
    for (let kill = 0; kill < 10; kill += 1) {
      await eventually(() => broker.status === 'connected', 'the broker is connected');
      const publishing: Promise<void>[] = [];
      for (let burst = 0; burst < 40; burst += 1) {
        if (burst === 20) void redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
        for (let n = 0; n < 5; n += 1) {
          number += 1;
          const data = String(number);
          publishing.push(
            publish(data).then((outcome) => {
              if (outcome === 'accepted') acknowledged.push(data);
            }),
          );
        }
        await new Promise(setImmediate);
      }
      await Promise.all(publishing);
      await eventually(() => broker.status === 'connected', 'the broker is connected');
    }
    const delivered = new Set(received.map(({ publication }) => publication.data));
    expect(acknowledged.filter((data) => !delivered.has(data))).to.deep.equal([]);
    expect(acknowledged.length).to.be.greaterThan(100);
  });

  it('disconnects from a Redis that stops answering', async () => {
    await open();
    await broker.subscribe('demo@news');
    redis.signal('SIGSTOP');
    await eventually(() => broker.status === 'disconnected', 'the broker disconnects');
    redis.signal('SIGCONT');
    await eventually(() => broker.status === 'connected', 'the broker reconnects');
    expect(await publish('1')).to.equal('accepted');
    await eventually(() => received.length === 1, 'the publication arrives');
  });

  it('opens without a running Redis, and rejects publications', async () => {
    const port = await freePort();
    await open(`redis://127.0.0.1:${port}`);
    expect(broker.status).to.equal('disconnected');
    expect(await publish('1')).to.equal('broker_unavailable');
  });
});
