import { expect } from 'chai';
import { answerTo } from '../../src/primary/roster/answers.ts';
import { Hosts } from '../../src/primary/roster/hosts.ts';
import { Roster } from '../../src/primary/roster/roster.ts';
import { silentLog } from '../../src/shared/log.ts';
import type { RosterDelta } from '../../src/shared/roster.ts';
import { eventually } from '../support/deadline.ts';
import { FakeSentinel } from '../support/fake-sentinel.ts';
import { RedisServer } from '../support/redis-server.ts';

/** The roster of one host with one worker, joined with others by Redis; no process of its own. */
class Host {
  readonly roster = new Roster();
  readonly hosts: Hosts;
  readonly told: string[] = [];
  readonly spoken: string[] = [];

  constructor(url: string, prefix = '') {
    this.hosts = new Hosts({ url, prefix, roster: this.roster, log: silentLog() });
    this.roster.addColumn('w', 'process');
    this.roster.listen({
      transition: (transition, mine) => {
        const { kind, app, ...rest } = transition;
        const said = [kind, app, ...Object.values(rest)].join(' ');
        this.told.push(said);
        if (mine) this.spoken.push(said);
      },
      counted: () => undefined,
    });
    this.hosts.open();
  }

  report(...deltas: RosterDelta[]): void {
    this.roster.change('w', deltas);
  }

  /** Every channel with its users and count, and every user with its connections. */
  state(app = 'shop'): string[] {
    const presence = this.roster.app(app);
    if (presence === undefined) return [];
    const channels = [...presence.channels.names({})].map((name) => {
      const channel = presence.channels.get(name);
      return `${name} ${channel?.subscriptions} ${[...(channel?.users.names({}) ?? [])]}`;
    });
    const users = [...presence.users.names({})].map((user) => `${user} ${presence.users.get(user)}`);
    return [`${presence.connections}`, ...channels, ...users];
  }
}

function delta(channel: string, user: string, change = 1, info?: string): RosterDelta {
  return { app: 'shop', channel, user, change, ...(info !== undefined && { info }) };
}

describe('hosts on one Redis', () => {
  let redis: RedisServer;
  const open: Host[] = [];

  before(async () => {
    redis = await RedisServer.start();
  });

  afterEach(async () => {
    for (const { hosts } of open.splice(0)) await hosts.close();
  });

  after(() => redis.stop());

  function start(prefix?: string): Host {
    const host = new Host(redis.url, prefix);
    open.push(host);
    return host;
  }

  async function agree(one: Host, other: Host, what: string): Promise<void> {
    await eventually(
      () => JSON.stringify(one.state()) === JSON.stringify(other.state()),
      `both know ${what}`,
    );
  }

  it('know of each other: those there before, and those who come and go', async () => {
    const one = start();
    one.report(delta('', 'u', 2), delta('a', 'u', 2, '{"n":1}'), delta('a', ''));
    const two = start();
    await agree(one, two, 'of the user that was there before');
    expect(answerTo(two.roster, { kind: 'members', app: 'shop', channel: 'a', limit: 9 })).to.deep.equal({
      subscriptions: 3,
      users: 1,
      members: [{ user: 'u', info: '{"n":1}' }],
    });
    two.report(delta('', 'u'), delta('a', 'u'), delta('', 'v'), delta('b', 'v'));
    await eventually(() => one.state().includes('b 1 v'), 'the first host knows of the second');
    await agree(one, two, 'of both');
    expect(one.state()).to.deep.equal(['4', 'a 4 u', 'b 1 v', 'u 3', 'v 1']);
    one.report(delta('a', 'u', -2), delta('a', '', -1), delta('', 'u', -2));
    await agree(one, two, 'who left');
    expect(two.told.filter((said) => said.startsWith('left'))).to.deep.equal([]);
    two.report(delta('a', 'u', -1));
    await agree(one, two, 'that the last one left');
    expect(one.told.filter((said) => said.startsWith('left'))).to.deep.equal(['left shop a u {"n":1}']);
  });

  it('forget at once a host that says goodbye', async () => {
    const one = start();
    const two = start();
    two.report(delta('', 'u'), delta('a', 'u'));
    await agree(one, two, 'of one user');
    await two.hosts.close();
    await eventually(() => one.state().length === 0, 'the first host has forgotten the second', 3_000);
    expect(one.told.slice(-3).sort()).to.deep.equal(['left shop a u', 'offline shop u', 'vacated shop a']);
  });

  it('are apart when their prefixes are', async () => {
    const one = start('x:');
    const two = start('y:');
    const three = start('y:');
    one.report(delta('', 'u'));
    two.report(delta('', 'v'));
    await agree(two, three, 'of their user');
    expect(two.state()).to.deep.equal(['1', 'v 1']);
  });

  it('agree again after Redis was away and has lost everything', async () => {
    const one = start();
    const two = start();
    one.report(delta('', 'u'), delta('a', 'u'));
    await agree(one, two, 'of one user');
    await redis.kill();
    one.report(delta('a', 'u', -1), delta('b', 'w'));
    two.report(delta('a', 'v'));
    await redis.restart();
    await eventually(() => one.state().includes('a 1 v'), 'the first host is told');
    await agree(one, two, 'what happened meanwhile');
    expect(two.state()).to.deep.equal(['1', 'a 1 v', 'b 1 w', 'u 1']);
    // What is in Redis is whole again, too: a third host reads it.
    const three = start();
    await agree(three, one, 'the same as a host that is new');
  });

  it('agree again after a failover by which something that was written is lost', async () => {
    const replica = await RedisServer.start('--replicaof', '127.0.0.1', String(redis.port));
    const sentinel = await FakeSentinel.start(redis.port);
    const one = new Host(`redis-sentinel://127.0.0.1:${sentinel.port}/main`);
    one.report(delta('a', 'u'), delta('a', 'v'));
    let chunks: string[] = [];
    await eventually(async () => {
      chunks = (await replica.command('KEYS', 'gusher:host:*:*')).match(/gusher:host:\S+:\d+/g) ?? [];
      const held = await Promise.all(chunks.map((chunk) => replica.command('HEXISTS', chunk, 'shop\na\nu')));
      return held.some((reply) => reply.startsWith(':1'));
    }, 'the replica has what was written');
    await replica.command('REPLICAOF', 'NO', 'ONE');
    for (const chunk of chunks) await replica.command('HDEL', chunk, 'shop\na\nu');
    await eventually(() => sentinel.subscribers.size > 0, 'the host listens to the Sentinel');

    sentinel.switchTo(replica.port);
    const two = new Host(replica.url);
    await eventually(() => two.state().includes('a 2 u,v'), 'a host that comes later knows of both');
    for (const { hosts } of [one, two]) await hosts.close();
    sentinel.stop();
    await replica.stop();
  });

  it('agree after a host has heard nothing for a while, though it was told', async () => {
    const one = start();
    const two = start();
    one.report(delta('', 'u'));
    await agree(one, two, 'of one user');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    for (let n = 0; n < 200; n += 1) one.report(delta('a', `u${n}`));
    one.report(delta('', 'u', -1));
    await agree(one, two, 'of all that happened');
    expect(two.state()).to.have.length(2);
  });

  it('read a part of many records, and each other during a storm', async () => {
    const one = start();
    for (let n = 0; n < 20_000; n += 1) one.report(delta(`c${n % 500}`, `u${n}`));
    const two = start();
    for (let n = 0; n < 5_000; n += 1) {
      one.report(delta(`c${n % 500}`, `u${n}`, -1));
      two.report(delta(`c${n % 7}`, `u${n}`));
      if (n % 50 === 0) await new Promise(setImmediate);
    }
    await agree(one, two, 'everybody');
    expect(one.roster.app('shop')?.subscriptions).to.equal(20_000);
  });

  it('let one of them speak to the world, the same for all', async () => {
    const one = start();
    const two = start();
    await eventually(() => one.hosts.speaks && two.hosts.speaks, 'both had the time to know the other');
    one.report(delta('', 'one'));
    two.report(delta('', 'two'));
    await eventually(() => one.state().length + two.state().length === 6, 'both know the other');
    one.spoken.length = 0;
    two.spoken.length = 0;
    for (let n = 0; n < 50; n += 1) {
      one.report(delta(`c${n}`, 'u'));
      two.report(delta(`c${n}`, 'u'));
    }
    await agree(one, two, 'of 50 channels');
    one.report(...Array.from({ length: 50 }, (_, n) => delta(`c${n}`, 'u', -1)));
    two.report(...Array.from({ length: 50 }, (_, n) => delta(`c${n}`, 'u', -1)));
    await eventually(() => one.state().length + two.state().length === 6, 'all have left');
    const all = [...one.spoken, ...two.spoken].filter((said) => said.includes(' c'));
    const expected = Array.from({ length: 50 }, (_, n) => [
      `occupied shop c${n}`,
      `joined shop c${n} u`,
      `left shop c${n} u`,
      `vacated shop c${n}`,
    ]).flat();
    expect(all.sort()).to.deep.equal(expected.sort());
    expect(one.spoken.length).to.be.greaterThan(0);
    expect(two.spoken.length).to.be.greaterThan(0);
  });

  it('take nothing from Redis that is not what they write', async () => {
    const one = start();
    one.report(delta('', 'u'));
    const host = 'a'.repeat(20);
    const hostile = [
      'no JSON',
      '[]',
      '{}',
      JSON.stringify({
        kind: 'change',
        host: 'short',
        sequence: 1,
        complete: true,
        speaks: true,
        records: [],
      }),
      JSON.stringify({ kind: 'change', host, sequence: -1, complete: true, speaks: true, records: [] }),
      ...[
        ['shop', '', 'x', -1],
        ['shop', '', 'x', 1.5],
        ['shop', '', 'x', 1e12],
        ['no app key', '', 'x', 1],
        ['shop', 'line\nbreak', 'x', 1],
        ['shop', 'a', 'x'.repeat(300), 1],
        ['shop', 'a', 'x', 1, 'no JSON'],
        ['shop', 'a', 'x', 1, '{}', 'more'],
        'no record',
        null,
      ].map((record) =>
        JSON.stringify({
          kind: 'change',
          host,
          sequence: 1,
          complete: true,
          speaks: true,
          records: [record],
        }),
      ),
    ];
    const two = start();
    await agree(one, two, 'of one user');
    for (const text of hostile) await redis.command('PUBLISH', 'gusher:roster', text);
    // A host that is made up has records of which some break rules; those that keep them count while it lives.
    const alive = `gusher:host:{${host}}`;
    await redis.command('SET', alive, '1', 'EX', '8');
    for (let chunk = 0; chunk < 32; chunk += 1) await redis.command('HSET', `${alive}:${chunk}`, '', '1');
    await redis.command(
      'HSET',
      `${alive}:0`,
      'shop\na\nfake',
      '1',
      'shop\na\nbad',
      '-1',
      'x',
      'y',
      '\n\n',
      '1',
    );
    const beat = { kind: 'beat', host, sequence: 1, complete: true, speaks: false, records: [] };
    await redis.command('PUBLISH', 'gusher:roster', JSON.stringify(beat));
    await eventually(() => one.state().includes('a 1 fake'), 'the made up host was read');
    expect(one.state()).to.deep.equal(['1', 'a 1 fake', 'u 1']);
    await redis.command('PUBLISH', 'gusher:roster', JSON.stringify({ ...beat, kind: 'bye' }));
    await eventually(() => one.state().length === 2, 'the made up host has left');
  });
});
