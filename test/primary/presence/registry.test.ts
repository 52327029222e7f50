import { expect } from 'chai';
import { answerQuery } from '../../../src/primary/presence/queries.ts';
import { PresenceRegistry } from '../../../src/primary/presence/registry.ts';
import type {
  PresenceAnswers,
  PresenceDelta,
  PresenceQueryKind,
  PresenceQueryOf,
  PresenceTransition,
} from '../../../src/shared/model/presence.ts';

function delta(channel: string, user: string, change = 1, info?: string, app = 'shop'): PresenceDelta {
  return { app, channel, user, change, ...(info !== undefined && { info }) };
}

function describeTransition(transition: PresenceTransition): string {
  const { kind, app, ...rest } = transition;
  return [kind, app, ...Object.values(rest)].join(' ');
}

describe('PresenceRegistry', () => {
  let registry: PresenceRegistry;
  let received: string[];
  let counted: string[];

  beforeEach(() => {
    registry = new PresenceRegistry();
    received = [];
    counted = [];
    registry.addListener({
      transition: (transition) => void received.push(describeTransition(transition)),
      countChanged: (app, channel) => void counted.push(`${app} ${channel}`),
    });
    registry.addReplica('w1', 'process');
    registry.addReplica('w2', 'process');
  });

  function query<Kind extends PresenceQueryKind>(request: PresenceQueryOf<Kind>): PresenceAnswers[Kind] {
    return answerQuery(registry, request) as PresenceAnswers[Kind];
  }

  it('reports one join of a user with several connections on several workers', () => {
    registry.change('w1', [delta('', 'u', 2), delta('news', 'u', 2)]);
    registry.change('w2', [delta('', 'u'), delta('news', 'u')]);
    expect(received).to.deep.equal(['online shop u', 'occupied shop news', 'joined shop news u']);
    expect(query({ kind: 'channel', app: 'shop', channel: 'news' })).to.deep.equal({
      subscriptions: 3,
      users: 1,
    });
    expect(query({ kind: 'user', app: 'shop', user: 'u' })).to.equal(3);
    received.length = 0;
    registry.change('w1', [delta('news', 'u', -2), delta('', 'u', -2)]);
    expect(received).to.deep.equal([]);
    registry.change('w2', [delta('news', 'u', -1), delta('', 'u', -1)]);
    expect(received).to.deep.equal(['left shop news u', 'vacated shop news', 'offline shop u']);
    expect(query({ kind: 'totals' })).to.deep.equal({
      apps: 0,
      connections: 0,
      users: 0,
      channels: 0,
      subscriptions: 0,
    });
  });

  it('removes the counts of a dropped replica only, and reports each departure once', () => {
    registry.change('w1', [delta('', 'only'), delta('', 'both'), delta('', '')]);
    registry.change('w1', [delta('a', 'only'), delta('a', 'both'), delta('b', 'only'), delta('a', '')]);
    registry.change('w2', [delta('', 'both'), delta('a', 'both')]);
    received.length = 0;
    registry.dropProcess('w1');
    expect(received.sort()).to.deep.equal([
      'left shop a only',
      'left shop b only',
      'offline shop only',
      'vacated shop b',
    ]);
    expect(query({ kind: 'app', app: 'shop' })).to.deep.equal({
      connections: 1,
      users: 1,
      channels: 1,
      subscriptions: 1,
    });
  });

  it('hides a large dropped replica while it is removed in slices', async () => {
    const names = Array.from({ length: 60_000 }, (_, n) => `u${n}`);
    registry.change('w1', [
      ...names.map((user) => delta('', user)),
      ...names.map((user) => delta('big', user)),
    ]);
    registry.change('w1', [delta('small', 'u1'), delta('', 'u1', 1, undefined, 'board')]);
    registry.change('w2', [delta('big', 'u7'), delta('', 'u7')]);
    received.length = 0;
    registry.dropProcess('w1');
    expect(received.length, 'the drop is not done').to.be.lessThan(60_000);
    expect(query({ kind: 'channel', app: 'shop', channel: 'small' })).to.deep.equal({
      subscriptions: 0,
      users: 0,
    });
    expect(query({ kind: 'user', app: 'shop', user: 'u8' })).to.equal(0);
    // Returns at once, so the user has left and joins again.
    registry.change('w2', [delta('big', 'u59999')]);
    expect(query({ kind: 'usersOfChannel', app: 'shop', channel: 'big', limit: 9 }).users).to.deep.equal([
      'u59999',
      'u7',
    ]);
    expect(query({ kind: 'totals' })).to.deep.equal({
      apps: 1,
      connections: 1,
      users: 1,
      channels: 1,
      subscriptions: 2,
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const about = (name: string): string[] => received.filter((written) => written.endsWith(` ${name}`));
    expect(about('u59999')).to.deep.equal([
      'offline shop u59999',
      'left shop big u59999',
      'joined shop big u59999',
    ]);
    expect(about('u7')).to.deep.equal([]);
    expect(received.filter((written) => written.startsWith('left shop big'))).to.have.length(59_999);
  });

  it('ignores a replica that was dropped or never existed', () => {
    registry.dropProcess('w1');
    registry.change('w1', [delta('a', 'u')]);
    registry.change('w9', [delta('a', 'u')]);
    expect(received).to.deep.equal([]);
    expect(query({ kind: 'totals' }).apps).to.equal(0);
  });

  it('never counts below zero', () => {
    registry.change('w1', [delta('a', 'u', -5), delta('', 'u', -1)]);
    registry.change('w1', [delta('a', 'u')]);
    expect(query({ kind: 'channel', app: 'shop', channel: 'a' }).subscriptions).to.equal(1);
    expect(received).to.deep.equal(['occupied shop a', 'joined shop a u']);
  });

  it('counts unnamed connections, which are no users', () => {
    registry.change('w1', [delta('', '', 3), delta('a', '', 2)]);
    expect(received).to.deep.equal(['occupied shop a']);
    expect(query({ kind: 'app', app: 'shop' })).to.deep.equal({
      connections: 3,
      users: 0,
      channels: 1,
      subscriptions: 2,
    });
    expect(query({ kind: 'usersOfChannel', app: 'shop', channel: 'a', limit: 9 })).to.deep.equal({
      users: [],
    });
  });

  it('separates apps', () => {
    registry.change('w1', [delta('a', 'u'), delta('a', 'u', 1, undefined, 'board')]);
    registry.change('w1', [delta('a', 'u', -1)]);
    expect(received.slice(4)).to.deep.equal(['left shop a u', 'vacated shop a']);
    expect(query({ kind: 'usersOfChannel', app: 'board', channel: 'a', limit: 9 }).users).to.deep.equal([
      'u',
    ]);
    expect(query({ kind: 'apps', limit: 9 }).apps.map(({ app }) => app)).to.deep.equal(['board']);
  });

  it("keeps a member's first info until it leaves", () => {
    registry.change('w1', [delta('a', 'u', 1, '{"n":1}')]);
    registry.change('w2', [delta('a', 'u', 1, '{"n":2}'), delta('a', 'v')]);
    registry.change('w1', [delta('a', 'u', -1)]);
    expect(query({ kind: 'members', app: 'shop', channel: 'a', limit: 9 })).to.deep.equal({
      subscriptions: 2,
      users: 2,
      members: [{ user: 'u', info: '{"n":1}' }, { user: 'v' }],
    });
    registry.change('w2', [delta('a', 'u', -1)]);
    expect(received.at(-1)).to.equal('left shop a u {"n":1}');
    registry.change('w2', [delta('a', 'u', 1, '{"n":3}')]);
    expect(received.at(-1)).to.equal('joined shop a u {"n":3}');
  });

  it('accepts a join if the channel is not full, or the user is already in it', () => {
    const join = (name: string, user: string): boolean =>
      registry.join(name, { app: 'shop', channel: 'a', member: { user, info: '1' }, max: 1 });
    expect([join('w1', 'u'), join('w2', 'v'), join('w2', 'u')]).to.deep.equal([true, false, true]);
    registry.change('w2', [delta('a', 'u', -1)]);
    registry.dropProcess('w1');
    expect(join('w2', 'v')).to.equal(true);
    expect(received.filter((written) => / shop a ./.test(written))).to.deep.equal([
      'joined shop a u 1',
      'left shop a u 1',
      'joined shop a v 1',
    ]);
  });

  it('notifies listeners of every change of counts', () => {
    registry.change('w1', [delta('a', 'u'), delta('a', 'u'), delta('b', '')]);
    expect(counted).to.deep.equal(['shop a', 'shop a', 'shop b']);
  });

  it('lists pages in order, from a cursor and with a prefix', () => {
    const names = Array.from({ length: 25 }, (_, n) => `c${n}`);
    registry.change('w1', [...names.map((name) => delta(name, 'u')), delta('d', 'u')]);
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = query({
        kind: 'channels',
        app: 'shop',
        prefix: 'c',
        limit: 10,
        ...(after !== undefined && { after }),
      });
      expect(page.channels.length).to.be.at.most(10);
      seen.push(...page.channels.map(({ channel }) => channel));
      after = page.next;
    } while (after !== undefined);
    expect(seen).to.deep.equal(names.sort());
    expect(query({ kind: 'channelCount', app: 'shop', prefix: 'c' })).to.equal(25);
    expect(query({ kind: 'channelCount', app: 'shop' })).to.equal(26);
    expect(query({ kind: 'channels', app: 'shop', prefix: 'd', limit: 1 }).next).to.equal(undefined);
  });

  it('finds the users of all given channels', () => {
    registry.change('w1', [
      delta('a', 'u'),
      delta('a', 'v'),
      delta('a', 'w'),
      delta('b', 'w'),
      delta('b', 'v'),
    ]);
    registry.change('w2', [delta('c', 'v'), delta('c', 'w'), delta('c', 'x')]);
    const inAll = (...channels: string[]): readonly string[] =>
      query({ kind: 'usersInAll', app: 'shop', channels, limit: 9 }).users;
    expect(inAll('a', 'b', 'c')).to.deep.equal(['v', 'w']);
    expect(inAll('a')).to.deep.equal(['u', 'v', 'w']);
    expect(inAll('a', 'nowhere')).to.deep.equal([]);
    expect(inAll()).to.deep.equal([]);
    expect(
      query({ kind: 'usersInAll', app: 'shop', channels: ['a', 'b'], limit: 1, after: 'v' }).users,
    ).to.deep.equal(['w']);
  });

  it('answers queries for unknown names with zeros and empty lists', () => {
    expect(query({ kind: 'channels', app: 'none', limit: 9 })).to.deep.equal({ channels: [] });
    expect(query({ kind: 'channel', app: 'none', channel: 'a' })).to.deep.equal({
      subscriptions: 0,
      users: 0,
    });
    expect(query({ kind: 'usersOfApp', app: 'none', limit: 9 })).to.deep.equal({ users: [] });
    expect(query({ kind: 'user', app: 'none', user: 'u' })).to.equal(0);
  });
});
