import { expect } from 'chai';
import { createStats } from '../../../src/shared/metrics/stats.ts';
import type { Publication } from '../../../src/shared/model/publication.ts';
import { FlushScheduler } from '../../../src/shared/scheduling/flush-scheduler.ts';
import type { Connection } from '../../../src/worker/connection/connection.ts';
import { SendQueue } from '../../../src/worker/connection/send-queue.ts';
import { FanOut } from '../../../src/worker/hub/fan-out.ts';
import { Hub } from '../../../src/worker/hub/hub.ts';
import { frameDelivery, frameText } from '../../../src/worker/websocket/frame.ts';
import {
  makeConnection,
  type RecordingTransport,
  silentProtocol,
  turnEnds,
} from '../../support/transport.ts';

function publication(channel: string, data: unknown): Publication {
  return { channel, event: 'e', data: JSON.stringify(data) };
}

/** With `writeMs`, time passes only by writes: each takes so many ms. */
function makeHub({ maxBytes = 1_000_000, writeMs = 0 } = {}) {
  const stats = createStats();
  const brokerCalls: string[] = [];
  const scheduler: FlushScheduler = new FlushScheduler([
    () => fanOut.flush(),
    () => sendQueue.flush(),
    () => fanOut.measure(),
  ]);
  const scheduleFlush = (): void => scheduler.schedule();
  const sendQueue = new SendQueue({ maxBytes, stats, scheduleFlush });
  const now = (): number => stats.deliveries * writeMs;
  const fanOut = new FanOut({ sendQueue, stats, scheduleFlush, now });
  const broker = {
    subscribe: async (topic: string) => void brokerCalls.push(`+${topic}`),
    unsubscribe: (topic: string) => void brokerCalls.push(`-${topic}`),
  };
  const hub = new Hub({ broker, fanOut, presence: { report: () => undefined }, stats });
  const join = async (channel: string, protocol = silentProtocol) => {
    const client = makeConnection(protocol);
    hub.add(client.connection);
    await hub.subscribe(client.connection, channel);
    return client;
  };
  const publish = (channel: string, data: unknown) =>
    hub.deliver(`demo@${channel}`, publication(channel, data));
  return { hub, sendQueue, stats, brokerCalls, join, publish };
}

const dataOf = ({ writes }: RecordingTransport): unknown[] =>
  writes.flat().map((text) => JSON.parse(text).data);

const served = (group: readonly { transport: RecordingTransport }[]): number =>
  group.reduce((sum, { transport }) => sum + transport.writes.length, 0);

describe('FanOut', () => {
  it('shares one frame among all subscribers', async () => {
    const { join, publish } = makeHub();
    const [a, b] = [await join('c'), await join('c')];
    publish('c', 1);
    await turnEnds();
    expect(dataOf(a.transport)).to.deep.equal([1]);
    expect(a.transport.frames[0]).to.equal(b.transport.frames[0]);
  });

  it('writes once per client for all publications of a turn, in order', async () => {
    const { join, publish } = makeHub();
    const [a, b] = [await join('c'), await join('c')];
    for (let n = 0; n < 5; n += 1) publish('c', n);
    await turnEnds();
    expect(a.transport.writes).to.have.length(1);
    expect(dataOf(a.transport)).to.deep.equal([0, 1, 2, 3, 4]);
    expect(a.transport.frames[0]).to.equal(b.transport.frames[0]);
  });

  it('writes once per turn to a client of several channels, and shares the joined frames', async () => {
    const { hub, join, publish } = makeHub();
    const [a, b] = [await join('c'), await join('c')];
    for (const { connection } of [a, b]) await hub.subscribe(connection, 'd');
    publish('c', 1);
    publish('d', 2);
    publish('c', 3);
    await turnEnds();
    expect(a.transport.writes).to.have.length(1);
    expect(dataOf(a.transport)).to.have.members([1, 2, 3]);
    expect(a.transport.frames[0]).to.equal(b.transport.frames[0]);
  });

  it('encodes a publication once per protocol', async () => {
    let encoded = 0;
    const other = {
      ...silentProtocol,
      name: 'pusher' as const,
      encode: () => `{"data":"other ${++encoded}"}`,
    };
    const { join, publish } = makeHub();
    const [a, b, c] = [await join('c'), await join('c', other), await join('c', other)];
    publish('c', 1);
    await turnEnds();
    expect(encoded).to.equal(1);
    expect(dataOf(a.transport)).to.deep.equal([1]);
    expect(b.transport.frames[0]).to.equal(c.transport.frames[0]);
  });

  it('keeps the order for all subscribers when a large group takes several turns', async () => {
    const { join, publish } = makeHub();
    const clients = [];
    for (let n = 0; n < 3_000; n += 1) clients.push(await join('c'));
    const small = await join('small');
    publish('c', 1);
    publish('small', 'first');
    await turnEnds();
    expect(dataOf(small.transport), 'a small channel does not wait').to.deep.equal(['first']);
    expect(clients.some(({ transport }) => transport.writes.length === 0)).to.equal(true);
    publish('c', 2);
    for (let turns = 0; turns < 40; turns += 1) await turnEnds();
    for (const { transport } of clients) expect(dataOf(transport)).to.deep.equal([1, 2]);
  });

  for (const [what, writeMs, writes] of [
    ['cheap', 0.001, 128],
    ['expensive', 0.02, 50],
    ['very expensive', 5, 32],
  ] as const) {
    it(`makes at most ${writes} of ${what} writes in a turn, and delivers to all`, async () => {
      const { join, publish, stats } = makeHub({ writeMs });
      const clients = await Promise.all(Array.from({ length: 1_500 }, () => join('c')));
      publish('c', 'first');
      while (stats.deliveries < 1_500) await turnEnds();
      publish('c', 'second');
      const turns: number[] = [];
      while (stats.deliveries < 3_000) {
        const before = stats.deliveries;
        await new Promise(setImmediate);
        turns.push(stats.deliveries - before);
      }
      const last = turns.pop() ?? 0;
      expect(new Set(turns)).to.deep.equal(new Set([writes]));
      expect(last).to.be.at.most(writes);
      for (const { transport } of clients) expect(dataOf(transport)).to.deep.equal(['first', 'second']);
    });
  }

  it('gives both of two large channels a share of each turn when writes are expensive', async () => {
    const { join, publish } = makeHub({ writeMs: 5 });
    const channels = ['c', 'd'];
    const groups = await Promise.all(
      channels.map((channel) => Promise.all(Array.from({ length: 400 }, () => join(channel)))),
    );
    for (const channel of channels) publish(channel, 1);
    await turnEnds();
    for (const channel of channels) publish(channel, 2);
    for (let turns = 0; turns < 8; turns += 1) {
      const before = groups.map(served);
      await new Promise(setImmediate);
      for (const [index, group] of groups.entries()) expect(served(group)).to.be.above(before[index] ?? 0);
    }
  });

  it('serves a small channel beside two large ones that fill every turn', async () => {
    const { join, publish } = makeHub();
    for (const channel of ['large-1', 'large-2']) {
      for (let n = 0; n < 3_000; n += 1) await join(channel);
    }
    const small = await join('small');
    for (const channel of ['large-1', 'large-2', 'small']) publish(channel, 'first');
    for (let turns = 0; turns < 2; turns += 1) await turnEnds();
    expect(dataOf(small.transport)).to.deep.equal(['first']);
  });

  it('delivers nothing to subscribers that left during a delivery, and once to all others', async () => {
    const { hub, join, publish } = makeHub();
    const clients = [];
    for (let n = 0; n < 3_000; n += 1) clients.push(await join('c'));
    publish('c', 1);
    await turnEnds();
    const removed = clients.filter((_, index) => index % 3 === 0);
    for (const { connection } of removed) hub.remove(connection);
    const reached = new Set(removed.filter(({ transport }) => transport.writes.length > 0));
    for (let turns = 0; turns < 40; turns += 1) await turnEnds();
    for (const client of clients) {
      const expected = removed.includes(client) ? Number(reached.has(client)) : 1;
      expect(client.transport.writes.length).to.equal(expected);
    }
  });

  it('sends a reply before later publications', async () => {
    const { hub, sendQueue, publish } = makeHub();
    const { connection, transport } = makeConnection();
    hub.add(connection);
    await hub.subscribe(connection, 'c');
    sendQueue.enqueue(connection, frameText('{"data":"subscribed"}'));
    publish('c', 1);
    await turnEnds();
    expect(dataOf(transport)).to.deep.equal(['subscribed', 1]);
  });

  it('excludes the excepted connection, and keeps the order for all others', async () => {
    const { hub, stats, join, publish } = makeHub();
    const clients = [await join('c'), await join('c'), await join('c')];
    const [a, b, c] = clients as [(typeof clients)[0], (typeof clients)[0], (typeof clients)[0]];
    const publishExcept = (data: string, except?: string): void =>
      hub.deliver('demo@c', { channel: 'c', event: 'e', data, ...(except !== undefined && { except }) });
    publishExcept('1');
    publishExcept('2', a.connection.id);
    publishExcept('3', b.connection.id);
    publishExcept('4', 'id-of-another-worker');
    publish('c', 5);
    for (let turns = 0; turns < 5; turns += 1) await turnEnds();
    expect(dataOf(a.transport)).to.deep.equal([1, 3, 4, 5]);
    expect(dataOf(b.transport)).to.deep.equal([1, 2, 4, 5]);
    expect(dataOf(c.transport)).to.deep.equal([1, 2, 3, 4, 5]);
    expect(stats.deliveries).to.equal(13);
    publish('c', 6);
    await turnEnds();
    expect(a.transport.frames.at(-1), 'frames are shared again').to.equal(b.transport.frames.at(-1));
  });

  it('delivers to a pending subscriber only what is published after its activation', async () => {
    const { hub, join, publish } = makeHub();
    const a = await join('c');
    const b = makeConnection();
    hub.add(b.connection);
    await hub.subscribePending(b.connection, 'c');
    publish('c', 1);
    publish('c', 2);
    hub.activate(b.connection, 'c');
    publish('c', 3);
    for (let turns = 0; turns < 4; turns += 1) await turnEnds();
    expect(dataOf(a.transport)).to.deep.equal([1, 2, 3]);
    expect(dataOf(b.transport)).to.deep.equal([3]);
    hub.remove(a.connection);
    publish('c', 4);
    await turnEnds();
    expect(dataOf(b.transport)).to.deep.equal([3, 4]);
  });

  it('subscribes at the broker for the first subscriber, and unsubscribes after the last one', async () => {
    const { hub, brokerCalls, stats, join } = makeHub();
    const [a, b] = [await join('c'), await join('c')];
    expect(brokerCalls).to.deep.equal(['+demo@c']);
    hub.unsubscribe(a.connection, 'c');
    hub.unsubscribe(a.connection, 'c');
    expect(brokerCalls).to.deep.equal(['+demo@c']);
    hub.remove(b.connection);
    expect(brokerCalls).to.deep.equal(['+demo@c', '-demo@c']);
    expect([stats.subscriptions, stats.topics, stats.connections.gusher]).to.deep.equal([0, 0, 1]);
  });
});

describe('SendQueue', () => {
  const fill = (connection: Connection, sendQueue: SendQueue, length: number): void =>
    sendQueue.sendNow(connection, frameDelivery('x'.repeat(length)));

  it('closes a client whose unsent bytes would exceed the limit, and counts it', async () => {
    const { sendQueue, stats } = makeHub({ maxBytes: 1_000 });
    const { connection, transport } = makeConnection();
    transport.unsentBytes = 600;
    fill(connection, sendQueue, 300);
    expect(transport.closedWith).to.equal(undefined);
    fill(connection, sendQueue, 500);
    expect(transport.closedWith?.code).to.equal(4101);
    expect(connection.state).to.equal('closing');
    expect(stats.deliveriesDropped).to.equal(1);
    fill(connection, sendQueue, 1);
    expect(transport.writes, 'nothing follows the close frame').to.have.length(1);
  });

  it('writes one message of any size when nothing is unsent', () => {
    const { sendQueue } = makeHub({ maxBytes: 1_000 });
    const { connection, transport } = makeConnection();
    fill(connection, sendQueue, 5_000);
    expect(transport.writes).to.have.length(1);
  });

  it('writes enqueued frames before the close frame, and keeps the first error', async () => {
    const { sendQueue } = makeHub();
    const { connection, transport } = makeConnection();
    sendQueue.enqueue(connection, frameText('last'));
    sendQueue.close(connection, { code: 'a', message: 'A.', close: 4200, reconnect: 'immediate' });
    sendQueue.close(connection, { code: 'b', message: 'B.', close: 4201, reconnect: 'immediate' });
    expect(transport.writes).to.deep.equal([['last']]);
    expect(transport.closedWith).to.deep.equal({ code: 4200, reason: 'A.' });
    await turnEnds();
    expect(transport.writes).to.have.length(1);
  });
});
