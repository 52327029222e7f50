import { expect } from 'chai';
import { pino } from 'pino';
import { DeliveryQueue } from '../../../src/primary/webhooks/delivery-queue.ts';
import type { WebhookEvent } from '../../../src/shared/model/webhook-event.ts';
import { within } from '../../support/deadline.ts';

const log = pino({ level: 'silent' });
const RETRY_POLICY = { firstPauseMs: 2, longestPauseMs: 8, giveUpAfterMs: 60 };

const occupied = (channel: string): WebhookEvent => ({ name: 'channel_occupied', channel });

/** A delivery queue whose webhook answers what it is told to, and the bodies that it was sent. */
function makeQueue(answers: (attempt: number) => string | undefined, isBatched = async () => true) {
  const bodies: { time_ms: number; events: WebhookEvent[] }[] = [];
  const deliver = async (body: string): Promise<string | undefined> => {
    bodies.push(JSON.parse(body));
    return answers(bodies.length);
  };
  return {
    queue: new DeliveryQueue({ app: 'k1', deliver, isBatched, log, retryPolicy: RETRY_POLICY }),
    bodies,
  };
}

describe('the lane of a webhook', () => {
  it('brings what comes together in one body, in its order', async () => {
    const { queue, bodies } = makeQueue(() => undefined);
    for (const channel of ['a', 'b', 'c']) queue.push(occupied(channel));
    await within(queue.finish(), 'the delivery');
    expect(bodies.map(({ events }) => events)).to.deep.equal([['a', 'b', 'c'].map(occupied)]);
    expect(bodies[0]?.time_ms).to.be.closeTo(Date.now(), 10_000);
  });

  it('never puts more than a hundred events in a body', async () => {
    const { queue, bodies } = makeQueue(() => undefined);
    const channels = Array.from({ length: 250 }, (_, index) => `c${index}`);
    for (const channel of channels) queue.push(occupied(channel));
    await within(queue.finish(), 'the deliveries');
    expect(bodies.map(({ events }) => events.length)).to.deep.equal([100, 100, 50]);
    expect(bodies.flatMap(({ events }) => events.map(({ channel }) => channel))).to.deep.equal(channels);
  });

  it('puts one event in each body of an app without batches, in their order', async () => {
    const { queue, bodies } = makeQueue(
      (attempt) => (attempt === 2 ? 'it answered 500' : undefined),
      async () => false,
    );
    for (const channel of ['a', 'b', 'c']) queue.push(occupied(channel));
    await within(queue.finish(), 'the deliveries');
    expect(bodies.map(({ events }) => events)).to.deep.equal(
      ['a', 'b', 'b', 'c'].map((one) => [occupied(one)]),
    );
  });

  it('batches from the next body on when the app begins to', async () => {
    let isOn = false;
    const { queue, bodies } = makeQueue(
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

  it('tries a body again until it is taken, and lets nothing overtake it', async () => {
    const { queue, bodies } = makeQueue((attempt) => (attempt < 4 ? 'it answered 500' : undefined));
    const channels = Array.from({ length: 101 }, (_, index) => `c${index}`);
    for (const channel of channels) queue.push(occupied(channel));
    await within(queue.finish(), 'the deliveries');
    expect(bodies.map(({ events }) => events.length)).to.deep.equal([100, 100, 100, 100, 1]);
    expect(bodies.slice(1, 4)).to.deep.equal(bodies.slice(0, 3));
  });

  it('gives a body up when its time is over, and goes on with the next', async () => {
    let isUp = false;
    const { queue, bodies } = makeQueue(() => (isUp ? undefined : 'it answered 500'));
    queue.push(occupied('lost'));
    await within(queue.finish(), 'the end of patience');
    expect(bodies.length).to.be.greaterThan(2);
    isUp = true;
    queue.push(occupied('after'));
    await within(queue.finish(), 'the delivery');
    expect(bodies.at(-1)?.events).to.deep.equal([occupied('after')]);
  });

  it('holds a bounded number of bytes and drops what comes on top', async () => {
    let release: (error: string | undefined) => void = () => undefined;
    const held = new Promise<string | undefined>((resolve) => {
      release = resolve;
    });
    const counts: number[] = [];
    const queue = new DeliveryQueue({
      app: 'k1',
      isBatched: async () => true,
      log,
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
  });

  it('tries what is left once more when it has to hurry', async () => {
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
    const queue = new DeliveryQueue({ app: 'k1', deliver, isBatched: async () => true, log, retryPolicy });
    queue.push(occupied('a'));
    await within(hasFailed, 'the first attempt');
    queue.flush();
    await within(queue.finish(), 'the end');
    expect(bodies).to.have.length(2);
  });
});
