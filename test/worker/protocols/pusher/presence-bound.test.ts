import { expect } from 'chai';
import { PresenceQueryServer } from '../../../../src/primary/presence/query-server.ts';
import { PresenceRegistry } from '../../../../src/primary/presence/registry.ts';
import { eventually } from '../../../support/deadline.ts';
import { PusherWorker, textsOf, WORKER_APP } from '../../../support/pusher-worker.ts';

const CHANNEL = 'presence-c';

describe('the member limit of a presence channel', () => {
  let presence: PresenceRegistry;
  let queryServer: PresenceQueryServer;
  let workers: [PusherWorker, PusherWorker];
  let received: string[];

  beforeEach(() => {
    presence = new PresenceRegistry();
    // Of this test alone: the registry of the test before may still report members that leave.
    const transitions: string[] = [];
    received = transitions;
    presence.addListener({
      transition: (transition) => {
        if ('channel' in transition && 'user' in transition)
          transitions.push(`${transition.kind} ${transition.user}`);
      },
      countChanged: () => undefined,
    });
    queryServer = new PresenceQueryServer(presence);
    workers = [new PusherWorker(queryServer, 'w1'), new PusherWorker(queryServer, 'w2')];
    limitMembers(10);
  });

  afterEach(() => {
    for (const worker of workers) worker.close();
  });

  function limitMembers(max: number): void {
    for (const worker of workers) worker.app = { ...WORKER_APP, max_presence_members: max };
  }

  /** Joins these users at the same time, at both workers in turn. Resolves with the admitted ones. */
  async function join(users: readonly string[]): Promise<string[]> {
    const outcomes = await Promise.all(
      users.map(async (user, n) => {
        const worker = workers[n % 2] as PusherWorker;
        const { connection, transport } = worker.connect();
        await worker.subscribe(connection, CHANNEL, JSON.stringify(user));
        await eventually(() => textsOf(transport).length > 0, 'an answer');
        const [first] = textsOf(transport);
        return first?.includes('subscription_succeeded') ? [user] : [];
      }),
    );
    return outcomes.flat();
  }

  const names = (prefix: string, count: number): string[] =>
    Array.from({ length: count }, (_, n) => `${prefix}${n}`);

  it('admits members up to the limit when many join at once, and announces no others', async () => {
    const admitted = await join(names('u', 25));
    expect(admitted).to.have.length(10);
    expect(received.toSorted()).to.deep.equal(admitted.map((user) => `joined ${user}`).toSorted());
    expect(await join(names('late', 3))).to.deep.equal([]);
    expect(received).to.have.length(10);
  });

  it('admits one of two users that join at once when one place is left', async () => {
    await join(names('u', 9));
    expect(await join(['ann', 'bea'])).to.have.length(1);
    expect(received).to.have.length(10);
  });

  it('admits further connections of members, and no new member at the limit', async () => {
    await join(names('u', 10));
    expect(await join(['x', 'u3', 'y', 'u3'])).to.deep.equal(['u3', 'u3']);
    limitMembers(1);
    expect(await join(['u4', 'z'])).to.deep.equal(['u4']);
    limitMembers(0);
    expect(await join(['u4', 'z'])).to.deep.equal(['u4']);
    expect(received).to.have.length(10);
    expect(presence.channel(WORKER_APP.key, CHANNEL)?.counts).to.deep.equal({ subscriptions: 14, users: 10 });
  });

  it('queries no place for a client that disconnected during the query of others', async () => {
    const [worker] = workers;
    const held: (() => void)[] = [];
    worker.deliverToPrimary = (hand) => void held.push(hand);
    for (let n = 0; n < 1_000; n += 1) {
      void worker.subscribe(worker.connect().connection, `presence-other${n % 100}`, String(n));
    }
    const { connection } = worker.connect();
    const subscribing = worker.subscribe(connection, CHANNEL, '"closed"');
    await eventually(() => held.length > 1_000, 'other queries are in progress');
    worker.leave(connection);
    worker.deliverToPrimary = setImmediate;
    for (const hand of held) hand();
    await subscribing;
    expect(received).to.have.length(1_000);
    expect(received).not.to.include('joined closed');
  });

  it('counts no member that the primary admitted after the query timed out', async () => {
    const worker = new PusherWorker(queryServer, 'slow', { presenceTimeoutMs: 50 });
    const held: (() => void)[] = [];
    worker.deliverToPrimary = (hand) => void held.push(hand);
    try {
      const { connection, transport } = worker.connect();
      await worker.subscribe(connection, CHANNEL);
      await eventually(() => textsOf(transport).length === 1, 'the subscription is rejected');
      expect(textsOf(transport)[0]).to.include('ServerError');
      const again = worker.subscribe(connection, CHANNEL);
      await eventually(() => held.length > 2, 'the client subscribes again');
      worker.deliverToPrimary = setImmediate;
      for (const hand of held) hand();
      await again;
      await eventually(() => textsOf(transport).length === 2, 'the client is admitted');
      expect(textsOf(transport)[1]).to.include('subscription_succeeded');
      const subscriptions = (): number =>
        presence.channel(WORKER_APP.key, CHANNEL)?.counts.subscriptions ?? 0;
      await eventually(() => subscriptions() === 1, 'the member is counted once');
      worker.leave(connection);
      await eventually(() => subscriptions() === 0, 'the member has left');
      expect(received).to.deep.equal(['joined u', 'left u']);
    } finally {
      worker.close();
    }
  });
});
