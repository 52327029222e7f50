import { expect } from 'chai';
import { SubscriptionCounts } from '../../../../src/worker/protocols/pusher/presence/subscription-counts.ts';
import { eventually } from '../../../support/deadline.ts';

/** A channel with 500 subscribers, and the counts that its clients receive. */
function countLargeChannel() {
  const received: number[] = [];
  const presence = {
    subscribe: (_query: unknown, callback: (answer: unknown) => void) => callback({ subscriptions: 500 }),
    unsubscribe: () => undefined,
  };
  const counts = new SubscriptionCounts({
    presence: presence as never,
    announce: (_app, _channel, text) => received.push(JSON.parse(JSON.parse(text).data).subscription_count),
  });
  const change = (subscriptions: number): void =>
    counts.handleEvent({ kind: 'counted', app: 'demo', channel: 'c', subscriptions, users: 0 });
  counts.enter('demo', 'c');
  return { counts, received, change };
}

describe('SubscriptionCounts', () => {
  const { now } = performance;

  afterEach(() => {
    performance.now = now;
  });

  it('announces every change of a small channel, and delays those of a large one', () => {
    const { counts, received, change } = countLargeChannel();
    change(501);
    expect(received).to.deep.equal([500]);
    for (const subscriptions of [99, 98]) change(subscriptions);
    expect(received).to.deep.equal([500, 99, 98]);
    counts.close();
  });

  it('announces a burst of changes of a small channel, and then the latest count at intervals', () => {
    const { counts, received, change } = countLargeChannel();
    for (let round = 0; round < 200; round += 1) change(round % 2 === 0 ? 9 : 10);
    expect(received.length).to.be.within(20, 23);
    counts.close();
  });

  it('announces a delayed count later, but not after it was closed', async () => {
    const [closed, open] = [countLargeChannel(), countLargeChannel()];
    for (const { change } of [closed, open]) change(501);
    closed.counts.close();
    performance.now = () => now.call(performance) + 10_000;
    // The timer of the closed one would have fired first.
    await eventually(() => open.received.length === 2, 'the delayed count was announced');
    expect(open.received).to.deep.equal([500, 501]);
    expect(closed.received).to.deep.equal([500]);
    open.counts.close();
  });
});
