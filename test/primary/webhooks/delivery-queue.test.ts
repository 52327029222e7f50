import { expect } from 'chai';
import { DeliveryQueue, type EventWebhookStats } from '../../../src/primary/webhooks/delivery-queue.ts';
import type { WebhookEvent } from '../../../src/shared/model/webhook-event.ts';
import { within } from '../../support/deadline.ts';
import { silentLog } from '../../support/silent-log.ts';

const log = silentLog();
const RETRY_POLICY = { firstPauseMs: 2, longestPauseMs: 8, giveUpAfterMs: 60 };

const newStats = (): EventWebhookStats => ({ delivered: 0, retried: 0, discarded: 0, dropped: 0 });

const occupied = (channel: string): WebhookEvent => ({ name: 'channel_occupied', channel });

/** Creates a queue whose deliveries end with the given errors, and records the bodies. */
function createQueue(errorOf: (attempt: number) => string | undefined, isBatched = async () => true) {
  const bodies: { time_ms: number; events: WebhookEvent[] }[] = [];
  const deliver = async (body: string): Promise<string | undefined> => {
    bodies.push(JSON.parse(body));
    return errorOf(bodies.length);
  };
  const stats = newStats();
  const queue = new DeliveryQueue({ app: 'k1', deliver, isBatched, log, stats, retryPolicy: RETRY_POLICY });
  return { queue, bodies, stats };
}

describe('DeliveryQueue', () => {
  it('delivers events of one moment in one body, in order', async () => {
    const { queue, bodies } = createQueue(() => undefined);
    for (const channel of ['a', 'b', 'c']) queue.push(occupied(channel));
    await within(queue.finish(), 'the delivery');
    expect(bodies.map(({ events }) => events)).to.deep.equal([['a', 'b', 'c'].map(occupied)]);
    expect(bodies[0]?.time_ms).to.be.closeTo(Date.now(), 10_000);
  });

  it('puts at most a hundred events in a body', async () => {
    const { queue, bodies } = createQueue(() => undefined);
    const channels = Array.from({ length: 250 }, (_, index) => `c${index}`);
    for (const channel of channels) queue.push(occupied(channel));
    await within(queue.finish(), 'the deliveries');
    expect(bodies.map(({ events }) => events.length)).to.deep.equal([100, 100, 50]);
    expect(bodies.flatMap(({ events }) => events.map(({ channel }) => channel))).to.deep.equal(channels);
  });

  it('puts one event in each body of an app without batches, in order', async () => {
    const { queue, bodies } = createQueue(
      (attempt) => (attempt === 2 ? 'it answered 500' : undefined),
      async () => false,
    );
    for (const channel of ['a', 'b', 'c']) queue.push(occupied(channel));
    await within(queue.finish(), 'the deliveries');
    expect(bodies.map(({ events }) => events)).to.deep.equal(
      ['a', 'b', 'b', 'c'].map((one) => [occupied(one)]),
    );
  });

  it('batches from the next body on when the app enables it', async () => {
    let isOn = false;
    const { queue, bodies } = createQueue(
      () => undefined,
      async () => isOn,
    );
    queue.push(occupied('a'));
    await within(queue.finish(), 'the first delivery');
    isOn = true;
    for (const channel of ['b', 'c']) queue.push(occupied(channel));
    await within(queue.finish(), 'the second delivery');
    expect(bodies.map(({ events }) => events.length)).to.deep.equal([1, 2]);
  });

  it('retries a body until it is accepted, and keeps the order', async () => {
    const { queue, bodies } = createQueue((attempt) => (attempt < 4 ? 'it answered 500' : undefined));
    const channels = Array.from({ length: 101 }, (_, index) => `c${index}`);
    for (const channel of channels) queue.push(occupied(channel));
    await within(queue.finish(), 'the deliveries');
    expect(bodies.map(({ events }) => events.length)).to.deep.equal([100, 100, 100, 100, 1]);
    expect(bodies.slice(1, 4)).to.deep.equal(bodies.slice(0, 3));
  });

  it('discards a body after the retry time, and continues with the next', async () => {
    let isUp = false;
    const { queue, bodies, stats } = createQueue(() => (isUp ? undefined : 'it answered 500'));
    queue.push(occupied('lost'));
    await within(queue.finish(), 'the end of the retries');
    expect(bodies.length).to.be.greaterThan(2);
    isUp = true;
    queue.push(occupied('after'));
    await within(queue.finish(), 'the delivery');
    expect(bodies.at(-1)?.events).to.deep.equal([occupied('after')]);
    expect(stats).to.include({ delivered: 1, discarded: 1, dropped: 0, retried: bodies.length - 2 });
  });

  it('bounds its bytes, and drops further events', async () => {
    let release: (error: string | undefined) => void = () => undefined;
    const held = new Promise<string | undefined>((resolve) => {
      release = resolve;
    });
    const counts: number[] = [];
    const stats = newStats();
    const queue = new DeliveryQueue({
      app: 'k1',
      isBatched: async () => true,
      log,
      stats,
      deliver: (body) => {
        counts.push(body.length);
        return held;
      },
    });
    const event = {
      name: 'client_event',
      channel: 'private-c',
      event: 'client-e',
      socket_id: '1.1',
    } as const;
    for (let sent = 0; sent < 300; sent += 1) queue.push({ ...event, data: 'x'.repeat(100_000) });
    release(undefined);
    await within(queue.finish(), 'the deliveries');
    const bytes = counts.reduce((sum, count) => sum + count, 0);
    expect(bytes).to.be.within(15_000_000, 17_000_000);
    expect(stats.delivered + stats.dropped).to.equal(300);
    expect(stats.dropped).to.be.greaterThan(100);
  });

  it('makes one more attempt per body after a flush', async () => {
    const bodies: string[] = [];
    const retryPolicy = { firstPauseMs: 60_000, longestPauseMs: 60_000, giveUpAfterMs: 600_000 };
    let failed: () => void = () => undefined;
    const hasFailed = new Promise<void>((resolve) => {
      failed = resolve;
    });
    const deliver = async (body: string): Promise<string> => {
      bodies.push(body);
      setImmediate(failed);
      return 'it answered 500';
    };
    const queue = new DeliveryQueue({
      app: 'k1',
      deliver,
      isBatched: async () => true,
      log,
      stats: newStats(),
      retryPolicy,
    });
    queue.push(occupied('a'));
    await within(hasFailed, 'the first attempt');
    queue.flush();
    await within(queue.finish(), 'the end');
    expect(bodies).to.have.length(2);
  });
});
