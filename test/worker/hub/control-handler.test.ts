import { expect } from 'chai';
import { createStats } from '../../../src/shared/metrics/stats.ts';
import { topicOf } from '../../../src/shared/model/names.ts';
import { FlushScheduler } from '../../../src/shared/scheduling/flush-scheduler.ts';
import { Grants } from '../../../src/worker/auth/grants.ts';
import type { Connection } from '../../../src/worker/connection/connection.ts';
import { SendQueue } from '../../../src/worker/connection/send-queue.ts';
import { ControlHandler } from '../../../src/worker/hub/control-handler.ts';
import { FanOut } from '../../../src/worker/hub/fan-out.ts';
import { Hub } from '../../../src/worker/hub/hub.ts';
import { GusherProtocol } from '../../../src/worker/protocols/gusher/gusher-protocol.ts';
import { makeConnection, type RecordingTransport, turnEnds } from '../../support/transport.ts';

/** A hub and its control handler, over a broker that accepts every topic. */
function openHub() {
  const stats = createStats();
  const scheduler: FlushScheduler = new FlushScheduler([() => fanOut.flush(), () => sendQueue.flush()]);
  const scheduleFlush = (): void => scheduler.schedule();
  const sendQueue = new SendQueue({ maxBytes: 100_000, stats, scheduleFlush });
  const fanOut = new FanOut({ sendQueue, stats, scheduleFlush });
  const broker = { subscribe: () => Promise.resolve(), unsubscribe: () => undefined };
  const hub = new Hub({ broker, fanOut, presence: { report: () => undefined }, stats });
  return { hub, control: new ControlHandler({ hub, sendQueue }) };
}

describe('ControlHandler', () => {
  const protocol = new GusherProtocol({
    hub: {
      subscribe: () => undefined,
      unsubscribe: () => undefined,
      isSubscribed: () => false,
      runWithin: (_connection, _channels, work) => work(),
    },
    joinPace: { wait: () => undefined },
    reply: () => undefined,
    countProtocolError: () => undefined,
    authorizationRejected: () => undefined,
    subscriptionRejected: () => undefined,
    refreshToken: () => Promise.resolve(),
    publishFromClient: () => Promise.resolve(),
    callRemote: () => Promise.resolve(),
    subscriptionsMax: 10,
    now: Date.now,
  });
  let hub: Hub;
  let control: ControlHandler;

  beforeEach(() => {
    ({ hub, control } = openHub());
  });

  function join(userId: string, appKey = 'shop'): { connection: Connection; transport: RecordingTransport } {
    const made = makeConnection(protocol, appKey, userId);
    hub.add(made.connection);
    return made;
  }

  const messagesOf = ({ writes }: RecordingTransport): string[] => writes.flat();

  it('sends a message to every connection of the user in that app, and to no other', async () => {
    const connections = [join('u'), join('u')];
    const others = [join('v'), join('u', 'board'), join('')];
    control.execute({ kind: 'toUser', app: 'shop', user: 'u', data: '{"x":1.0}' });
    control.execute({ kind: 'toUser', app: 'shop', user: 'u', event: 'hi', data: '[]' });
    await turnEnds();
    for (const { transport } of connections) {
      expect(messagesOf(transport)).to.deep.equal(['{"x":1.0}', '{"event":"hi","data":[]}']);
    }
    for (const { transport } of others) expect(messagesOf(transport)).to.deep.equal([]);
  });

  it('sends a message to one socket, only if it belongs to that app', async () => {
    const one = join('u');
    const two = join('u');
    control.execute({ kind: 'toSocket', app: 'shop', socket: one.connection.id, data: '1' });
    control.execute({ kind: 'toSocket', app: 'board', socket: two.connection.id, data: '2' });
    await turnEnds();
    expect(messagesOf(one.transport)).to.deep.equal(['1']);
    expect(messagesOf(two.transport)).to.deep.equal([]);
  });

  it('sends no message to connections that were removed or changed their user', async () => {
    const removed = join('u');
    hub.remove(removed.connection);
    const renamed = join('u');
    hub.setUser(renamed.connection, 'v');
    control.execute({ kind: 'toUser', app: 'shop', user: 'u', data: '1' });
    control.execute({ kind: 'toUser', app: 'shop', user: 'v', data: '2' });
    await turnEnds();
    expect(messagesOf(removed.transport)).to.deep.equal([]);
    expect(messagesOf(renamed.transport)).to.deep.equal(['2']);
  });

  it('adds a grant, and notifies the client as upstream does', async () => {
    const { connection, transport } = join('u');
    connection.grants = new Grants(['a']);
    control.execute({ kind: 'grants', app: 'shop', user: 'u', mode: 'add', channels: ['b*'] });
    await turnEnds();
    expect(connection.grants.list).to.deep.equal(['a', 'b*']);
    expect(messagesOf(transport)).to.deep.equal([
      '{"data":{"channel":"b*"},"event":"gusher.addchannel","socket_id":""}',
    ]);
  });

  it('replaces grants, and ends subscriptions that no pattern of the new grants allows', async () => {
    const { connection, transport } = join('u');
    for (const channel of ['A1', 'A2', 'B']) hub.subscribe(connection, channel);
    control.execute({ kind: 'grants', app: 'shop', user: 'u', mode: 'replace', channels: ['A*'] });
    await turnEnds();
    const subscribed = ['A1', 'A2', 'B'].filter((channel) => hub.isSubscribed(connection, channel));
    expect(subscribed).to.deep.equal(['A1', 'A2']);
    expect(messagesOf(transport)).to.deep.equal([
      '{"data":{"channels":["A*"]},"event":"gusher.reloadchannel","socket_id":""}',
    ]);
    hub.deliver(topicOf('shop', 'B'), { channel: 'B', event: 'e', data: '1' });
    await turnEnds();
    expect(messagesOf(transport)).to.have.length(1);
  });

  it('limits the grants of a connection, however many are added', () => {
    const { connection } = join('u');
    for (let n = 0; n < 1_500; n += 1) {
      control.execute({ kind: 'grants', app: 'shop', user: 'u', mode: 'add', channels: [`c${n}`] });
    }
    expect(connection.grants.list).to.have.length(1_000);
    expect(connection.grants.allows('c1499')).to.equal(true);
  });

  it('closes all connections of a user', () => {
    const connections = [join('u'), join('u')];
    const other = join('v');
    control.execute({ kind: 'terminate', app: 'shop', user: 'u' });
    for (const { transport } of connections) expect(transport.closedWith?.code).to.equal(4009);
    expect(other.transport.closedWith).to.equal(undefined);
  });
});
