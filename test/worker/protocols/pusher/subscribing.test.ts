import { expect } from 'chai';
import { PresenceQueryServer } from '../../../../src/primary/presence/query-server.ts';
import { PresenceRegistry } from '../../../../src/primary/presence/registry.ts';
import { PusherWorker, textsOf } from '../../../support/pusher-worker.ts';
import { type RecordingTransport, turnEnds } from '../../../support/transport.ts';

describe('pusher:subscribe', () => {
  let worker: PusherWorker;
  let topicIsLive: () => void;

  beforeEach(() => {
    worker = new PusherWorker(new PresenceQueryServer(new PresenceRegistry()), 'w1');
    worker.subscribeTopic = () =>
      new Promise((resolve) => {
        topicIsLive = resolve;
      });
  });

  afterEach(() => worker.close());

  const publish = (channel: string, event: string): void =>
    worker.hub.deliver(`demo@${channel}`, { channel, event, data: '1' });
  const eventsOf = (transport: RecordingTransport): string[] =>
    textsOf(transport).map((text) => JSON.parse(text).event);

  for (const channel of ['c', 'private-c']) {
    it(`delivers nothing before the answer, and everything after it (${channel})`, async () => {
      const [one, two] = [worker.connect(), worker.connect()];
      const subscribing = [one, two].map(({ connection }) => worker.subscribe(connection, channel));
      publish(channel, 'before');
      await turnEnds();
      topicIsLive();
      await Promise.all(subscribing);
      publish(channel, 'after');
      await turnEnds();
      for (const { transport } of [one, two]) {
        expect(eventsOf(transport)).to.deep.equal(['pusher_internal:subscription_succeeded', 'after']);
      }
      expect(worker.stats.subscriptions).to.equal(2);
    });
  }

  it('completes for a closed connection before its next command, except in presence channels', async () => {
    worker.subscribeTopic = () => new Promise(setImmediate);
    const subscribed: Record<string, boolean> = {};
    for (const channel of ['c', 'private-c', 'cache-c', 'presence-c']) {
      const { connection } = worker.connect();
      const subscribing = worker.subscribe(connection, channel);
      connection.state = 'closed';
      await subscribing;
      subscribed[channel] = worker.hub.isSubscribed(connection, channel);
      worker.leave(connection);
    }
    expect(subscribed).to.deep.equal({ c: true, 'private-c': true, 'cache-c': true, 'presence-c': false });
    expect(worker.stats.subscriptions).to.equal(0);
  });

  it('is answered before an event of the same turn if the topic is live', async () => {
    const [one, two] = [worker.connect(), worker.connect()];
    const subscribing = worker.subscribe(one.connection, 'c');
    topicIsLive();
    await subscribing;
    void worker.subscribe(two.connection, 'c');
    publish('c', 'after');
    await turnEnds();
    expect(eventsOf(two.transport)).to.deep.equal(['pusher_internal:subscription_succeeded', 'after']);
  });
});
