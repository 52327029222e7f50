import { expect } from 'chai';
import { pino } from 'pino';
import { Lane } from '../../../src/primary/webhooks/delivery-queue.ts';
import type { WebhookEvent } from '../../../src/shared/model/webhook-event.ts';
import { within } from '../../support/deadline.ts';

const log = pino({ level: 'silent' });
const PACE = { firstPauseMs: 2, longestPauseMs: 8, patienceMs: 60 };

const occupied = (channel: string): WebhookEvent => ({ name: 'channel_occupied', channel });

/** A lane whose webhook answers what it is told to, and the bodies that it was sent. */
function makeLane(answers: (attempt: number) => string | undefined, isBatched = async () => true) {
  const bodies: { time_ms: number; events: WebhookEvent[] }[] = [];
  const deliver = async (body: string): Promise<string | undefined> => {
    bodies.push(JSON.parse(body));
    return answers(bodies.length);
  };
  return { lane: new Lane({ app: 'k1', deliver, isBatched, log, pace: PACE }), bodies };
}

describe('the lane of a webhook', () => {
  it('brings what comes together in one body, in its order', async () => {
    const { lane, bodies } = makeLane(() => undefined);
    for (const channel of ['a', 'b', 'c']) lane.push(occupied(channel));
    await within(lane.finish(), 'the delivery');
    expect(bodies.map(({ events }) => events)).to.deep.equal([['a', 'b', 'c'].map(occupied)]);
    expect(bodies[0]?.time_ms).to.be.closeTo(Date.now(), 10_000);
  });

  it('never puts more than a hundred events in a body', async () => {
    const { lane, bodies } = makeLane(() => undefined);
    const channels = Array.from({ length: 250 }, (_, index) => `c${index}`);
    for (const channel of channels) lane.push(occupied(channel));
    await within(lane.finish(), 'the deliveries');
    expect(bodies.map(({ events }) => events.length)).to.deep.equal([100, 100, 50]);
    expect(bodies.flatMap(({ events }) => events.map(({ channel }) => channel))).to.deep.equal(channels);
  });

  it('puts one event in each body of an app without batches, in their order', async () => {
    const { lane, bodies } = makeLane(
      (attempt) => (attempt === 2 ? 'it answered 500' : undefined),
      async () => false,
    );
    for (const channel of ['a', 'b', 'c']) lane.push(occupied(channel));
    await within(lane.finish(), 'the deliveries');
    expect(bodies.map(({ events }) => events)).to.deep.equal(
      ['a', 'b', 'b', 'c'].map((one) => [occupied(one)]),
    );
  });

  it('batches from the next body on when the app begins to', async () => {
    let isOn = false;
    const { lane, bodies } = makeLane(
      () => undefined,
      async () => isOn,
    );
    lane.push(occupied('a'));
    await within(lane.finish(), 'the first delivery');
    isOn = true;
    for (const channel of ['b', 'c']) lane.push(occupied(channel));
    await within(lane.finish(), 'the second delivery');
    expect(bodies.map(({ events }) => events.length)).to.deep.equal([1, 2]);
  });

  it('tries a body again until it is taken, and lets nothing overtake it', async () => {
    const { lane, bodies } = makeLane((attempt) => (attempt < 4 ? 'it answered 500' : undefined));
    const channels = Array.from({ length: 101 }, (_, index) => `c${index}`);
    for (const channel of channels) lane.push(occupied(channel));
    await within(lane.finish(), 'the deliveries');
    expect(bodies.map(({ events }) => events.length)).to.deep.equal([100, 100, 100, 100, 1]);
    expect(bodies.slice(1, 4)).to.deep.equal(bodies.slice(0, 3));
  });

  it('gives a body up when its time is over, and goes on with the next', async () => {
    let isUp = false;
    const { lane, bodies } = makeLane(() => (isUp ? undefined : 'it answered 500'));
    lane.push(occupied('lost'));
    await within(lane.finish(), 'the end of patience');
    expect(bodies.length).to.be.greaterThan(2);
    isUp = true;
    lane.push(occupied('after'));
    await within(lane.finish(), 'the delivery');
    expect(bodies.at(-1)?.events).to.deep.equal([occupied('after')]);
  });

  it('holds a bounded number of bytes and drops what comes on top', async () => {
    let release: (error: string | undefined) => void = () => undefined;
    const held = new Promise<string | undefined>((resolve) => {
      release = resolve;
    });
    const counts: number[] = [];
    const lane = new Lane({
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
    for (let sent = 0; sent < 300; sent += 1) lane.push({ ...event, data: 'x'.repeat(100_000) });
    release(undefined);
    await within(lane.finish(), 'the deliveries');
    const bytes = counts.reduce((sum, count) => sum + count, 0);
    expect(bytes).to.be.within(15_000_000, 17_000_000);
  });

  it('tries what is left once more when it has to hurry', async () => {
    const bodies: string[] = [];
    const pace = { firstPauseMs: 60_000, longestPauseMs: 60_000, patienceMs: 600_000 };
    let failed: () => void = () => undefined;
    const hasFailed = new Promise<void>((resolve) => {
      failed = resolve;
    });
    const deliver = async (body: string): Promise<string> => {
      bodies.push(body);
      setImmediate(failed);
      return 'it answered 500';
    };
    const lane = new Lane({ app: 'k1', deliver, isBatched: async () => true, log, pace });
    lane.push(occupied('a'));
    await within(hasFailed, 'the first attempt');
    lane.hurry();
    await within(lane.finish(), 'the end');
    expect(bodies).to.have.length(2);
  });
});
