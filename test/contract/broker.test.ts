import { expect } from 'chai';
import { Relay } from '../../src/primary/broker/relay.ts';
import { GusherError } from '../../src/shared/errors/catalogue.ts';
import { MessagePipe } from '../../src/shared/ipc/message-pipe.ts';
import type { BrokerStatus, ToPrimary, ToWorker } from '../../src/shared/ipc/messages.ts';
import { createStats } from '../../src/shared/metrics/stats.ts';
import type { ControlMessage } from '../../src/shared/model/control-message.ts';
import { CACHE_TTL_MS, type Publication } from '../../src/shared/model/publication.ts';
import type { Broker } from '../../src/worker/broker/broker.ts';
import { RedisBroker } from '../../src/worker/broker/redis/redis-broker.ts';
import { RelayBroker } from '../../src/worker/broker/relay-broker.ts';
import { eventually } from '../support/deadline.ts';
import { RedisServer } from '../support/redis-server.ts';
import { silentLog } from '../support/silent-log.ts';
import { socketPair } from '../support/socket-pair.ts';

const MEBIBYTE = 1024 * 1024;

/** A worker's broker, and what it delivered. */
interface Member {
  readonly broker: Broker;
  readonly received: { topic: string; publication: Publication }[];
  readonly controls: ControlMessage[];
  readonly statuses: BrokerStatus[];
}

/** The brokers of the workers of one host. */
interface Host {
  readonly members: Member[];
  end(): Promise<void>;
}

async function openAll(brokers: readonly Broker[]): Promise<Member[]> {
  return Promise.all(
    brokers.map(async (broker) => {
      const member: Member = { broker, received: [], controls: [], statuses: [] };
      await broker.open({
        deliver: (topic, publication) => void member.received.push({ topic, publication }),
        control: (message) => void member.controls.push(message),
        statusChanged: (state) => void member.statuses.push(state),
        subscriptionRejected: () => undefined,
      });
      return member;
    }),
  );
}

function failOn(error: Error): never {
  throw error;
}

/** Relay brokers connected to a relay by message pipes over real sockets, like the processes. */
async function relayHost(count: number): Promise<Host> {
  const relay = new Relay({ log: silentLog() });
  const pairs = await Promise.all(Array.from({ length: count }, socketPair));
  const brokers = pairs.map(([near, far], slot) => {
    const nearPipe = new MessagePipe<ToPrimary, ToWorker>(near, {
      message: (message) => relay.receive(slot, message as never),
      relayFrame: (topic, line) => relay.forward(slot, topic, line),
      malformed: failOn,
    });
    relay.addWorker(slot, nearPipe);
    const line = new MessagePipe<ToWorker, ToPrimary>(far, {
      message: (message) => broker.receive(message as never),
      relayFrame: (topic, bytes) => broker.receiveFrame(topic, bytes),
      malformed: failOn,
    });
    const broker: RelayBroker = new RelayBroker({ pipe: line, isIdle: () => true });
    return broker;
  });
  const members = await openAll(brokers);
  const end = async (): Promise<void> => {
    for (const [near] of pairs) near.destroy();
  };
  return { members, end };
}

async function redisHost(count: number, url: string): Promise<Host> {
  const make = (): Broker =>
    new RedisBroker({
      ...{
        url,
        prefix: 'test:',
        hostId: 'host',
        maxBytes: 2 * MEBIBYTE,
        stats: createStats(),
        log: silentLog(),
      },
      connectedWorkers: () => count,
    });
  const members = await openAll(Array.from({ length: count }, make));
  return { members, end: async () => undefined };
}

function numbered(channel: string, data: unknown): Publication {
  return { channel, event: 'e', data: JSON.stringify(data) };
}

function brokerContract(name: string, openHost: (count: number) => Promise<Host>): void {
  describe(`${name} broker`, () => {
    let host: Host;
    let one: Member;
    let two: Member;

    beforeEach(async () => {
      host = await openHost(3);
      [one, two] = host.members as [Member, Member];
    });

    afterEach(async () => {
      for (const { broker } of host.members) await broker.close();
      await host.end();
    });

    const dataOf = ({ received }: Member): unknown[] =>
      received.map(({ publication }) => JSON.parse(publication.data));

    it('is connected once it is open', () => {
      expect(one.broker.status).to.equal('connected');
      expect(one.statuses.at(-1)).to.equal('connected');
    });

    it("delivers a publication to every subscribed worker, including the publisher's, and to no other", async () => {
      await one.broker.subscribe('a@c');
      await two.broker.subscribe('a@c');
      await one.broker.publish('a@c', numbered('c', 1));
      await eventually(
        () => one.received.length === 1 && two.received.length === 1,
        'both workers received it',
      );
      expect(one.received[0]).to.deep.equal({ topic: 'a@c', publication: numbered('c', 1) });
      expect(host.members[2]?.received).to.deep.equal([]);
    });

    it('keeps the order of a publisher, and delivers nothing twice', async () => {
      await one.broker.subscribe('a@c');
      const sent = Array.from({ length: 500 }, (_, n) => n);
      await Promise.all(sent.map((n) => two.broker.publish('a@c', numbered('c', n))));
      await eventually(() => one.received.length >= sent.length, 'everything was received');
      expect(dataOf(one)).to.deep.equal(sent);
    });

    it('delivers in the same order to all workers', async () => {
      await one.broker.subscribe('a@c');
      await two.broker.subscribe('a@c');
      for (let n = 0; n < 200; n += 1) {
        void one.broker.publish('a@c', numbered('c', `one ${n}`));
        void two.broker.publish('a@c', numbered('c', `two ${n}`));
        if (n % 20 === 0) await new Promise(setImmediate);
      }
      await eventually(
        () => one.received.length === 400 && two.received.length === 400,
        'everything was received',
      );
      expect(dataOf(one)).to.deep.equal(dataOf(two));
    });

    it('delivers everything that is published after a subscription has resolved', async () => {
      for (let n = 0; n < 200; n += 1) {
        await one.broker.subscribe(`a@c${n}`);
        await two.broker.publish(`a@c${n}`, numbered(`c${n}`, n));
      }
      await eventually(() => one.received.length === 200, 'all messages were received');
    });

    it('ends in the state that was requested last', async () => {
      for (let n = 0; n < 20; n += 1) {
        void one.broker.subscribe('a@on');
        one.broker.unsubscribe('a@on');
        void one.broker.subscribe('a@off');
        one.broker.unsubscribe('a@off');
        if (n % 3 === 0) await new Promise(setImmediate);
      }
      await one.broker.subscribe('a@on');
      await two.broker.publish('a@off', numbered('off', 1));
      await two.broker.publish('a@on', numbered('on', 2));
      await eventually(() => one.received.length > 0, 'the message was received');
      expect(dataOf(one)).to.deep.equal([2]);
    });

    it('stops after unsubscribing', async () => {
      await one.broker.subscribe('a@c');
      await one.broker.subscribe('a@d');
      one.broker.unsubscribe('a@c');
      await one.broker.subscribe('a@e');
      await two.broker.publish('a@c', numbered('c', 1));
      await two.broker.publish('a@d', numbered('d', 2));
      await eventually(() => one.received.length > 0, 'the other topic was received');
      expect(dataOf(one)).to.deep.equal([2]);
    });

    it('separates topics of the same channel name', async () => {
      await one.broker.subscribe('a@c');
      await two.broker.subscribe('b@c');
      await one.broker.publish('b@c', numbered('c', 'b'));
      await one.broker.publish('a@c', numbered('c', 'a'));
      await eventually(() => one.received.length === 1 && two.received.length === 1, 'each received its own');
      expect([dataOf(one), dataOf(two)]).to.deep.equal([['a'], ['b']]);
    });

    it('delivers data unchanged', async () => {
      const data = '{"z":1.0,"a":12345678901234567890,"e":"\\u00e9\\/","dup":1,"dup":2, "sp" : [ 1 ]}';
      await one.broker.subscribe('a@ü/日本 c');
      await two.broker.publish('a@ü/日本 c', { channel: 'ü/日本 c', event: 'é"x', data });
      await eventually(() => one.received.length === 1, 'the message was received');
      expect(one.received[0]?.publication).to.deep.equal({ channel: 'ü/日本 c', event: 'é"x', data });
    });

    it('delivers a message of 1 MiB', async () => {
      const data = JSON.stringify('x'.repeat(MEBIBYTE));
      await one.broker.subscribe('a@c');
      await two.broker.publish('a@c', { channel: 'c', event: 'e', data });
      await eventually(() => one.received.length === 1, 'the message was received');
      expect(one.received[0]?.publication.data.length).to.equal(data.length);
    });

    it('supports thousands of topics', async () => {
      const topics = Array.from({ length: 2_000 }, (_, n) => `a@c${n}`);
      await Promise.all(topics.map((topic) => one.broker.subscribe(topic)));
      await Promise.all(topics.map((topic, n) => two.broker.publish(topic, numbered(topic.slice(2), n))));
      await eventually(() => one.received.length === topics.length, 'all messages were received');
    });

    it("delivers control messages once and in order to every worker, including the sender's", async () => {
      const sent = Array.from({ length: 100 }, (_, n): ControlMessage => {
        const data = `{"n": ${n}.0,"e":"\\u00e9"}`;
        return { kind: 'toUser', app: 'a', user: 'ü', data, ...(n % 2 === 0 && { event: 'e' }) };
      });
      sent.push({ kind: 'grants', app: 'a', user: 'u', mode: 'replace', channels: ['x*'] });
      await Promise.all(sent.map((message) => one.broker.broadcast(message)));
      await eventually(
        () => host.members.every(({ controls }) => controls.length >= sent.length),
        'every worker received everything',
      );
      for (const { controls } of host.members) expect(controls).to.deep.equal(sent);
    });

    it('keeps control messages and publications of one sender in order', async () => {
      const order: string[] = [];
      await two.broker.subscribe('a@c');
      two.received.push = () => order.push('publication');
      two.controls.push = () => order.push('control');
      void one.broker.publish('a@c', numbered('c', 1));
      void one.broker.broadcast({ kind: 'terminate', app: 'a', user: 'u' });
      void one.broker.publish('a@c', numbered('c', 2));
      await eventually(() => order.length === 3, 'all three messages were received');
      expect(order).to.deep.equal(['publication', 'control', 'publication']);
    });

    it('caches the last publication of a cache channel for all workers, but no client event', async () => {
      const three = host.members[2] as Member;
      expect(await three.broker.cached('a@cache-c')).to.equal(undefined);
      for (let n = 0; n < 5; n += 1) await one.broker.publish('a@cache-c', numbered('cache-c', n));
      await two.broker.publish('a@cache-c', { ...numbered('cache-c', 'client'), fromClient: true });
      await two.broker.publish('a@c', numbered('c', 'no cache'));
      const cached = await three.broker.cached('a@cache-c');
      expect(cached?.publication).to.deep.equal({ ...numbered('cache-c', 4), cached: true });
      expect(cached?.ttlMs).to.be.within(CACHE_TTL_MS - 20_000, CACHE_TTL_MS);
      expect(await three.broker.cached('b@cache-c'), 'another app').to.equal(undefined);
      expect(await three.broker.cached('a@c')).to.equal(undefined);
    });

    it('marks the publications of a cache channel as cached', async () => {
      await two.broker.subscribe('a@cache-c');
      await one.broker.publish('a@cache-c', numbered('cache-c', 'backend'));
      await one.broker.publish('a@cache-c', { ...numbered('cache-c', 'client'), fromClient: true });
      await eventually(() => two.received.length === 2, 'both messages were received');
      expect(two.received.map(({ publication }) => publication.cached)).to.deep.equal([true, undefined]);
    });

    it('returns the cached publication after all earlier publications have been delivered', async () => {
      await one.broker.subscribe('a@private-cache-c');
      for (let n = 0; n < 100; n += 1) {
        void two.broker.publish('a@private-cache-c', numbered('private-cache-c', n));
        const cached = await one.broker.cached('a@private-cache-c');
        const last = cached === undefined ? -1 : (JSON.parse(cached.publication.data) as number);
        expect(dataOf(one).length).to.be.greaterThan(last);
      }
    });

    it('rejects publications once it is closed', async () => {
      await one.broker.close();
      const outcome = await one.broker.publish('a@c', numbered('c', 1)).catch((error: unknown) => error);
      expect(outcome).to.be.instanceOf(GusherError);
      expect((outcome as GusherError).entry.code).to.equal('broker_unavailable');
    });
  });
}

brokerContract('relay', relayHost);

describe('Broker with a real Redis', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await RedisServer.start();
  });
  after(() => redis.stop());

  brokerContract('redis', (count) => redisHost(count, redis.url));
});
