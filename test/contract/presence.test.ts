import { MessageChannel } from 'node:worker_threads';
import { expect } from 'chai';
import { PresenceQueryServer } from '../../src/primary/presence/query-server.ts';
import { PresenceRegistry } from '../../src/primary/presence/registry.ts';
import { GusherError } from '../../src/shared/errors/catalogue.ts';
import type { ToPrimary, ToWorker } from '../../src/shared/ipc/messages.ts';
import type { MemberList, PresenceEvent } from '../../src/shared/model/presence.ts';
import { PresenceClient } from '../../src/worker/ipc/presence-client.ts';
import { PresenceReporter } from '../../src/worker/ipc/presence-reporter.ts';
import { eventually } from '../support/deadline.ts';

/** A worker's presence client, connected to the query server by an asynchronous channel, like the processes. */
class Member {
  readonly channel = new MessageChannel();
  readonly events: PresenceEvent[] = [];
  readonly reports: ToPrimary[] = [];
  readonly reporter: PresenceReporter;
  readonly client: PresenceClient;

  constructor(queryServer: PresenceQueryServer, name: string) {
    const { port1, port2 } = this.channel;
    const send = (message: ToPrimary): void => {
      if (message.type === 'presence') this.reports.push(message);
      port2.postMessage(message);
    };
    this.reporter = new PresenceReporter({
      send,
      scheduleFlush: () => setImmediate(() => this.reporter.flush()),
    });
    this.client = new PresenceClient({ send, flushReports: () => this.reporter.flush() });
    this.client.onEvents((events) => void this.events.push(...events));
    queryServer.open(name, (message) => port1.postMessage(message));
    port1.on('message', (message: ToPrimary) => queryServer.receive(name, message as never));
    port2.on('message', (message: ToWorker) => this.client.receive(message as never));
  }

  end(): void {
    this.client.close();
    this.channel.port1.close();
  }
}

describe('Presence between worker and primary', () => {
  let queryServer: PresenceQueryServer;
  let one: Member;
  let two: Member;

  beforeEach(() => {
    queryServer = new PresenceQueryServer(new PresenceRegistry());
    one = new Member(queryServer, 'w1');
    two = new Member(queryServer, 'w2');
  });

  afterEach(() => {
    one.end();
    two.end();
  });

  const usersOf = async (member: Member, channel: string): Promise<readonly string[]> => {
    const page = await member.client.query({ kind: 'usersOfChannel', app: 'shop', channel, limit: 100 });
    return page.users;
  };

  it('includes all earlier reports of the querying worker in a reply', async () => {
    one.reporter.report('shop', 'a', 'u', 1);
    const query = usersOf(one, 'a');
    one.reporter.report('shop', 'a', 'late', 1);
    expect(await query).to.deep.equal(['u']);
    expect(await usersOf(one, 'a')).to.deep.equal(['late', 'u']);
  });

  it('includes all earlier reports of other workers in a reply', async () => {
    for (let n = 0; n < 50; n += 1) {
      // A busy event loop can read the query first.
      two.reporter.report('shop', 'a', `u${n}`, 1);
      const query = usersOf(one, 'a');
      two.reporter.flush();
      expect(await query).to.have.length(n + 1);
    }
  });

  it('reports once per event-loop tick, without changes that cancel each other', async () => {
    for (let n = 0; n < 3; n += 1) one.reporter.report('shop', 'a', 'u', 1);
    one.reporter.report('shop', 'a', 'u', -1);
    one.reporter.report('shop', 'a', 'ghost', 1);
    one.reporter.report('shop', 'a', 'ghost', -1);
    one.reporter.report('shop', 'b', 'v', 1);
    await eventually(() => one.reports.length > 0, 'a report was sent');
    expect(one.reports).to.deep.equal([
      {
        type: 'presence',
        deltas: [
          { app: 'shop', channel: 'a', user: 'u', change: 2 },
          { app: 'shop', channel: 'b', user: 'v', change: 1 },
        ],
      },
    ]);
  });

  it('sends every change after the reply to a watched query, none missing and none twice', async () => {
    const members = new Set<string>();
    for (let n = 0; n < 50; n += 1) two.reporter.report('shop', 'presence-a', `before${n}`, 1);
    two.reporter.flush();
    const watching = new Promise<void>((resolve) => {
      one.client.subscribe(
        { kind: 'members', app: 'shop', channel: 'presence-a', limit: 1_000 },
        (answer) => {
          for (const { user } of (answer as MemberList).members) members.add(user);
          // Events before their snapshot would belong to no watch.
          expect(one.events).to.deep.equal([]);
          resolve();
        },
      );
    });
    for (let n = 0; n < 50; n += 1) {
      two.reporter.report('shop', 'presence-a', `after${n}`, 1);
      two.reporter.report('shop', 'presence-b', `elsewhere${n}`, 1);
      two.reporter.flush();
      if (n % 5 === 0) await new Promise(setImmediate);
      if (n % 2 === 0) two.reporter.report('shop', 'presence-a', `before${n}`, -1);
    }
    await watching;
    const expected = await usersOf(two, 'presence-a');
    const apply = (): string[] => {
      const now = new Set(members);
      for (const event of one.events) {
        if (event.kind === 'joined' && !now.has(event.user)) now.add(event.user);
        else if (event.kind === 'left' && now.has(event.user)) now.delete(event.user);
        else throw new Error(`doubled: ${JSON.stringify(event)}`);
      }
      return [...now].sort();
    };
    await eventually(() => apply().length === expected.length, 'all events are received');
    expect(apply()).to.deep.equal(expected);
  });

  it('notifies a watcher of counts and of users that join and leave; of nothing after unwatch', async () => {
    const channel = { kind: 'channel', app: 'shop', channel: 'a' } as const;
    const user = { kind: 'user', app: 'shop', user: 'u' } as const;
    one.client.subscribe(channel, () => undefined);
    one.client.subscribe(user, () => undefined);
    await usersOf(one, 'a');
    two.reporter.report('shop', '', 'u', 1);
    two.reporter.report('shop', 'a', 'u', 1);
    two.reporter.report('shop', 'a', '', 1);
    await eventually(() => one.events.length === 2, 'two events are received');
    expect(one.events).to.deep.equal([
      { kind: 'online', app: 'shop', user: 'u' },
      { kind: 'counted', app: 'shop', channel: 'a', subscriptions: 2, users: 1 },
    ]);
    one.client.unsubscribe(channel);
    one.client.unsubscribe(user);
    await usersOf(one, 'a');
    two.reporter.report('shop', 'a', '', 1);
    two.reporter.report('shop', '', 'u', -1);
    await usersOf(two, 'a');
    await usersOf(one, 'a');
    expect(one.events).to.have.length(2);
  });

  it('notifies watchers once of every user that was only on a crashed worker', async () => {
    two.reporter.report('shop', 'a', 'left-user', 1);
    two.reporter.report('shop', 'a', 'left-user', 1);
    two.reporter.report('shop', 'a', 'stays', 1);
    one.reporter.report('shop', 'a', 'stays', 1);
    await usersOf(two, 'a');
    one.client.subscribe({ kind: 'members', app: 'shop', channel: 'a', limit: 9 }, () => undefined);
    await usersOf(one, 'a');
    queryServer.close('w2');
    two.reporter.report('shop', 'a', 'ghost', 1);
    two.reporter.flush();
    expect(await usersOf(one, 'a')).to.deep.equal(['stays']);
    expect(one.events).to.deep.equal([{ kind: 'left', app: 'shop', channel: 'a', user: 'left-user' }]);
  });

  it('rejects queries beyond a limit, and queries without a reply in time', async () => {
    const sent: ToPrimary[] = [];
    const send = (message: ToPrimary): unknown => sent.push(message);
    const deaf = new PresenceClient({ send, flushReports: () => undefined, timeoutMs: 1_000 });
    const outcomes = Array.from({ length: 51_001 }, () =>
      deaf.query({ kind: 'totals' }).then(
        () => 'answered',
        (error: unknown) => (error instanceof GusherError ? error.entry.code : 'failed'),
      ),
    );
    expect(await outcomes.at(-1)).to.equal('presence_busy');
    expect(new Set(await Promise.all(outcomes.slice(0, -1)))).to.deep.equal(new Set(['presence_timeout']));
    // A slow machine sends the queries in several ticks, so a few thousand more may be accepted.
    expect(sent.length, 'late queries are not sent').to.be.lessThan(10_000);
    deaf.close();
  });

  it('queues queries beyond the concurrency limit', async () => {
    const channels = Array.from({ length: 5_000 }, (_, number) => `c${number}`);
    for (const channel of channels) one.reporter.report('shop', channel, 'u', 1);
    const answers = await Promise.all(channels.map((channel) => usersOf(one, channel)));
    expect(new Set(answers.map((users) => users.join()))).to.deep.equal(new Set(['u']));
  });

  describe('after watch and unwatch', () => {
    const query = { kind: 'user', app: 'shop', user: 'ann' } as const;
    const online = (): number => one.events.length;

    /** Waits until the primary has processed all messages of the member. */
    const settled = (member: Member): Promise<unknown> => member.client.query({ kind: 'totals' });

    async function expectNothingAfterUnwatch(): Promise<void> {
      const answered = new Promise((resolve) => one.client.subscribe<'user'>(query, resolve));
      one.client.unsubscribe(query);
      await answered;
      two.reporter.report('shop', '', 'ann', 1);
      await settled(two);
      await settled(one);
      expect(online()).to.equal(0);
    }

    it('sends nothing after unwatch, even before the reply', expectNothingAfterUnwatch);

    it('sends all changes if watched again before the first reply', async () => {
      one.client.subscribe<'user'>(query, () => undefined);
      one.client.unsubscribe(query);
      await new Promise((resolve) => one.client.subscribe<'user'>(query, resolve));
      two.reporter.report('shop', '', 'ann', 1);
      await eventually(() => online() === 1, 'the change is reported');
    });

    it('does not watch while the query is still queued', async () => {
      for (let count = 0; count < 1_000; count += 1) void one.client.query({ kind: 'totals' });
      await expectNothingAfterUnwatch();
    });
  });
});
