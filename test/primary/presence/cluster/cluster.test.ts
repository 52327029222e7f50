import { expect } from 'chai';
import { PresenceCluster } from '../../../../src/primary/presence/cluster/cluster.ts';
import { answerQuery } from '../../../../src/primary/presence/queries.ts';
import { PresenceRegistry } from '../../../../src/primary/presence/registry.ts';
import type { PresenceDelta } from '../../../../src/shared/model/presence.ts';
import { eventually } from '../../../support/deadline.ts';
import { FakeSentinel } from '../../../support/fake-sentinel.ts';
import { type LogLine, recordingLog } from '../../../support/recording-log.ts';
import { RedisServer } from '../../../support/redis-server.ts';
import { TcpProxy } from '../../../support/tcp-proxy.ts';

/** The presence registry of one host with one worker, in this process. */
class Host {
  readonly presence = new PresenceRegistry();
  readonly cluster: PresenceCluster;
  readonly changed: string[] = [];
  readonly owned: string[] = [];
  readonly #lines: LogLine[];

  constructor(url: string, prefix = '', namesMaxBytes = 1_000_000_000) {
    const { log, lines } = recordingLog();
    this.#lines = lines;
    this.cluster = new PresenceCluster({ url, prefix, registry: this.presence, namesMaxBytes, log });
    this.presence.addReplica('w', 'process');
    this.presence.addListener({
      transition: (transition, isOwner) => {
        const { kind, app, ...rest } = transition;
        const written = [kind, app, ...Object.values(rest)].join(' ');
        this.changed.push(written);
        if (isOwner) this.owned.push(written);
      },
      countChanged: () => undefined,
    });
    this.cluster.open();
  }

  /** Messages of warnings and notes, with the reason. */
  get logged(): string[] {
    const shown = this.#lines.filter(({ level }) => level === 'warn' || level === 'info');
    return shown.map(({ message, reason }) => (reason === undefined ? message : `${message}: ${reason}`));
  }

  report(...deltas: PresenceDelta[]): void {
    this.presence.change('w', deltas);
  }

  /** Every channel with its users and count, and every user with its connections. */
  state(app = 'shop'): string[] {
    const presence = this.presence.app(app);
    if (presence === undefined) return [];
    const channels = [...presence.channels.names({})].map((name) => {
      const channel = presence.channels.get(name);
      return `${name} ${channel?.subscriptions} ${[...(channel?.users.names({}) ?? [])]}`;
    });
    const users = [...presence.users.names({})].map((user) => `${user} ${presence.users.get(user)}`);
    return [`${presence.connections}`, ...channels, ...users];
  }
}

function delta(channel: string, user: string, change = 1, info?: string): PresenceDelta {
  return { app: 'shop', channel, user, change, ...(info !== undefined && { info }) };
}

describe('PresenceCluster', () => {
  let redis: RedisServer;
  const open: Host[] = [];

  before(async () => {
    redis = await RedisServer.start();
  });

  afterEach(async () => {
    for (const { cluster } of open.splice(0)) await cluster.close();
  });

  after(() => redis.stop());

  function start(prefix?: string, namesMaxBytes?: number): Host {
    const host = new Host(redis.url, prefix, namesMaxBytes);
    open.push(host);
    return host;
  }

  it('accepts names of other hosts up to one and a half of its budget, and logs that others are missing', async () => {
    const [one, other] = [start('full'), start('full', 20_000)];
    for (let count = 0; count < 60; count += 1) one.report(delta(`room-${count}`, 'ann'));
    await eventually(() => other.logged.some((text) => text.includes('incomplete')), 'a log line');
    expect(other.presence.nameBytes).to.be.within(28_000, 32_000);
    for (let count = 0; count < 60; count += 1) one.report(delta(`room-${count}`, 'ann', -1));
    await eventually(() => other.presence.nameBytes === 0, 'the names to go');
  });

  async function agree(one: Host, other: Host, what: string): Promise<void> {
    await eventually(
      () => JSON.stringify(one.state()) === JSON.stringify(other.state()),
      `both know ${what}`,
    );
  }

  it('shares entries with hosts that exist, start and stop', async () => {
    const one = start();
    one.report(delta('', 'u', 2), delta('a', 'u', 2, '{"n":1}'), delta('a', ''));
    const two = start();
    await agree(one, two, 'of the user that was there before');
    expect(answerQuery(two.presence, { kind: 'members', app: 'shop', channel: 'a', limit: 9 })).to.deep.equal(
      {
        subscriptions: 3,
        users: 1,
        members: [{ user: 'u', info: '{"n":1}' }],
      },
    );
    two.report(delta('', 'u'), delta('a', 'u'), delta('', 'v'), delta('b', 'v'));
    await eventually(() => one.state().includes('b 1 v'), 'the first host knows of the second');
    await agree(one, two, 'of both');
    expect(one.state()).to.deep.equal(['4', 'a 4 u', 'b 1 v', 'u 3', 'v 1']);
    one.report(delta('a', 'u', -2), delta('a', '', -1), delta('', 'u', -2));
    await agree(one, two, 'who left');
    expect(two.changed.filter((written) => written.startsWith('left'))).to.deep.equal([]);
    two.report(delta('a', 'u', -1));
    await agree(one, two, 'that the last one left');
    expect(one.changed.filter((written) => written.startsWith('left'))).to.deep.equal([
      'left shop a u {"n":1}',
    ]);
  });

  it('removes a host that leaves at once', async () => {
    const one = start();
    const two = start();
    two.report(delta('', 'u'), delta('a', 'u'));
    await agree(one, two, 'of one user');
    await two.cluster.close();
    await eventually(() => one.state().length === 0, 'the first host has forgotten the second', 3_000);
    expect(one.changed.slice(-3).sort()).to.deep.equal(['left shop a u', 'offline shop u', 'vacated shop a']);
  });

  it('separates prefixes', async () => {
    const one = start('x:');
    const two = start('y:');
    const three = start('y:');
    one.report(delta('', 'u'));
    two.report(delta('', 'v'));
    await agree(two, three, 'of their user');
    expect(two.state()).to.deep.equal(['1', 'v 1']);
  });

  it('converges after Redis was down and lost all data', async () => {
    const one = start();
    const two = start();
    one.report(delta('', 'u'), delta('a', 'u'));
    await agree(one, two, 'of one user');
    await redis.kill();
    one.report(delta('a', 'u', -1), delta('b', 'w'));
    two.report(delta('a', 'v'));
    await redis.restart();
    await eventually(() => one.state().includes('a 1 v'), 'the first host has it');
    await agree(one, two, 'the later changes');
    expect(two.state()).to.deep.equal(['1', 'a 1 v', 'b 1 w', 'u 1']);
    // Redis has all records again: a third host reads them.
    const three = start();
    await agree(three, one, 'the same as a host that is new');
  });

  it('converges after a failover that lost writes', async () => {
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
    await eventually(() => two.state().includes('a 2 u,v'), 'a later host knows both');
    for (const { cluster } of [one, two]) await cluster.close();
    sentinel.stop();
    await replica.stop();
  });

  describe('while Redis rejects', () => {
    const UNWRITTEN = 'cannot write presence to Redis';
    const WRITTEN = 'presence writes to Redis restored';

    afterEach(async () => {
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
      await redis.command('REPLICAOF', 'NO', 'ONE');
      await redis.command('ACL', 'SETUSER', 'default', '+subscribe');
    });

    /** The ids of the hosts' connections. */
    async function connections(): Promise<string[]> {
      const clients = await redis.command('CLIENT', 'LIST');
      return [...clients.matchAll(/id=(\d+) .*name=gusher:presence/g)].map(([, id = '']) => id).sort();
    }

    async function count(command: string, counter = 'calls'): Promise<number> {
      const info = await redis.command('INFO', 'commandstats');
      return Number(new RegExp(`^cmdstat_${command}:(?:.*,)?${counter}=(\\d+)`, 'm').exec(info)?.[1] ?? 0);
    }

    /** Waits until each of two hosts has sent one or two heartbeats. */
    async function heartbeats(onPoll: () => void = () => undefined): Promise<void> {
      const before = await count('publish');
      await eventually(async () => {
        onPoll();
        return (await count('publish')) >= before + 3;
      }, 'the hosts send heartbeats');
    }

    it('writes because its memory is full: keeps heartbeats, logs once, and repeats the writes', async () => {
      const one = start();
      const two = start();
      one.report(delta('', 'u'), delta('a', 'u'));
      await agree(one, two, 'of one user');
      const before = await connections();
      await redis.command('CONFIG', 'SET', 'maxmemory', '1');
      one.report(delta('a', 'u', -1), delta('a', 'v'));
      await eventually(() => one.logged.length > 0, 'the error is logged');
      const tries = await count('exec');
      await heartbeats(() => one.report(delta('b', 'w')));
      expect((await count('exec')) - tries).to.be.within(1, 4);
      expect(await connections()).to.deep.equal(before);
      expect(two.state()).to.deep.equal(['1', 'a 1 u', 'u 1']);
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
      await agree(one, two, 'the later changes');
      expect(two.state().slice(0, 2)).to.deep.equal(['1', 'a 1 v']);
      await eventually(() => one.logged.length > 1, 'its end is logged');
      expect(one.logged).to.deep.equal([
        `${UNWRITTEN}: Redis has reached maxmemory and rejects writes; raise maxmemory`,
        WRITTEN,
      ]);
      expect(two.logged).to.deep.equal([]);
    });

    it('writes because it is a replica: keeps heartbeats, logs once, and repeats the writes', async () => {
      const one = start();
      const two = start();
      one.report(delta('', 'u'), delta('a', 'u'));
      await agree(one, two, 'of one user');
      await redis.command('REPLICAOF', '127.0.0.1', '1');
      one.report(delta('a', 'u', -1), delta('a', 'v'));
      await eventually(() => one.logged.length + two.logged.length === 2, 'the error is logged');
      await eventually(async () => (await connections()).length === 4, 'all connections are open');
      const before = await connections();
      await heartbeats();
      expect(await connections()).to.deep.equal(before);
      expect(two.state()).to.deep.equal(['1', 'a 1 u', 'u 1']);
      await redis.command('REPLICAOF', 'NO', 'ONE');
      await agree(one, two, 'the later changes');
      await eventually(() => one.logged.length + two.logged.length === 4, 'its end is logged');
      const changed = [
        `${UNWRITTEN}: Redis is a read-only replica; GUSHER_REDIS_URL must lead to the master`,
        WRITTEN,
      ];
      expect([one.logged, two.logged]).to.deep.equal([changed, changed]);
      const three = start();
      await agree(three, one, 'the same as a host that is new');
    });

    it('writes: removes a host that stops at once, and adds a new one when writes work', async () => {
      const one = start();
      const two = start();
      one.report(delta('', 'u'));
      two.report(delta('', 'v'));
      await eventually(() => one.state().length + two.state().length === 6, 'the hosts know each other');
      await redis.command('CONFIG', 'SET', 'maxmemory', '1');
      const three = start();
      three.report(delta('', 'w'));
      await eventually(() => three.state().length === 4, 'the new one has read what was written');
      await two.cluster.close();
      await eventually(() => one.state().length === 2, 'the second host is forgotten', 3_000);
      await eventually(() => three.logged.length > 0, 'the new host logs that it cannot write');
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
      await eventually(() => one.state().length === 3, 'the first host knows of the new one');
      await agree(one, three, 'the same');
      expect(one.logged).to.deep.equal([]);
    });

    it('writes for longer than changes are collected: writes everything again', async () => {
      const one = start();
      const two = start();
      one.report(delta('a', 'u'), delta('a', 'v'));
      await agree(one, two, 'of both users');
      await redis.command('CONFIG', 'SET', 'maxmemory', '1');
      one.report(delta('a', 'u', -1));
      await eventually(() => one.logged.length > 0, 'the error is logged');
      for (let n = 0; n < 200_001; n += 1) one.report(delta('a', `w${n}`), delta('a', `w${n}`, -1));
      await heartbeats();
      expect(two.state()).to.deep.equal(['0', 'a 2 u,v']);
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
      await agree(one, two, 'who stayed');
      expect(two.state()).to.deep.equal(['0', 'a 1 v']);
    });

    it('writes because it is no longer the master: reconnects to the new one by its name', async () => {
      const master = await RedisServer.start();
      const name = await TcpProxy.start(redis.port);
      const one = new Host(name.url);
      one.report(delta('a', 'u'));
      const two = start();
      await agree(one, two, 'of one user');
      name.port = master.port;
      await redis.command('REPLICAOF', '127.0.0.1', String(master.port));
      const three = new Host(master.url);
      await eventually(() => three.state().includes('a 1 u'), 'a host of the new master knows of the user');
      one.report(delta('a', 'v'));
      await eventually(() => three.state().includes('a 2 u,v'), 'the next host arrives');
      for (const { cluster } of [one, three]) await cluster.close();
      name.stop();
      await master.stop();
    });

    it('SUBSCRIBE: logs once, and subscribes when it is allowed', async () => {
      const one = start();
      const two = start();
      one.report(delta('', 'u'));
      await agree(one, two, 'of one user');
      await redis.command('ACL', 'SETUSER', 'default', '-subscribe');
      await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await eventually(() => one.logged.length > 0, 'the error is logged');
      await eventually(async () => (await connections()).length === 4, 'all connections are open');
      const before = await connections();
      one.report(delta('', 'u', -1), delta('', 'v'));
      const tries = await count('subscribe', 'rejected_calls');
      await eventually(
        async () => (await count('subscribe', 'rejected_calls')) >= tries + 4,
        'the hosts have tried again',
      );
      expect(await connections()).to.deep.equal(before);
      await redis.command('ACL', 'SETUSER', 'default', '+subscribe');
      await eventually(() => two.state().includes('v 1'), 'the later changes arrive');
      await agree(one, two, 'the same');
      const reason =
        'the ACL of Redis forbids a command, key or channel; docs/settings.md lists what gusher needs';
      expect(one.logged).to.deep.equal([`cluster connection lost: ${reason}`, 'cluster connection restored']);
    });
  });

  it('converges after a host missed messages', async () => {
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

  it('reads a large replica, and deltas during a storm of changes', async () => {
    const one = start();
    for (let n = 0; n < 20_000; n += 1) one.report(delta(`c${n % 500}`, `u${n}`));
    const two = start();
    for (let n = 0; n < 5_000; n += 1) {
      one.report(delta(`c${n % 500}`, `u${n}`, -1));
      two.report(delta(`c${n % 7}`, `u${n}`));
      if (n % 50 === 0) await new Promise(setImmediate);
    }
    await agree(one, two, 'all users');
    expect(one.presence.app('shop')?.subscriptions).to.equal(20_000);
  });

  it('chooses one owner per channel, the same on all hosts', async () => {
    const one = start();
    const two = start();
    await eventually(() => one.cluster.isVoter && two.cluster.isVoter, 'both hosts are voters');
    one.report(delta('', 'one'));
    two.report(delta('', 'two'));
    await eventually(() => one.state().length + two.state().length === 6, 'the hosts know each other');
    one.owned.length = 0;
    two.owned.length = 0;
    for (let n = 0; n < 50; n += 1) {
      one.report(delta(`c${n}`, 'u'));
      two.report(delta(`c${n}`, 'u'));
    }
    await agree(one, two, 'of 50 channels');
    one.report(...Array.from({ length: 50 }, (_, n) => delta(`c${n}`, 'u', -1)));
    two.report(...Array.from({ length: 50 }, (_, n) => delta(`c${n}`, 'u', -1)));
    await eventually(() => one.state().length + two.state().length === 6, 'all users have left');
    const all = [...one.owned, ...two.owned].filter((written) => written.includes(' c'));
    const expected = Array.from({ length: 50 }, (_, n) => [
      `occupied shop c${n}`,
      `joined shop c${n} u`,
      `left shop c${n} u`,
      `vacated shop c${n}`,
    ]).flat();
    expect(all.sort()).to.deep.equal(expected.sort());
    expect(one.owned.length).to.be.greaterThan(0);
    expect(two.owned.length).to.be.greaterThan(0);
  });

  it('ignores malformed and forged data in Redis', async () => {
    const one = start();
    one.report(delta('', 'u'));
    const host = 'a'.repeat(20);
    const hostile = [
      'no JSON',
      '[]',
      '{}',
      JSON.stringify({
        kind: 'delta',
        host: 'short',
        sequence: 1,
        complete: true,
        isVoter: true,
        records: [],
      }),
      JSON.stringify({ kind: 'delta', host, sequence: -1, complete: true, isVoter: true, records: [] }),
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
        // The record is skipped, and the message is valid.
        JSON.stringify({
          kind: 'delta',
          host: 'b'.repeat(20),
          sequence: 1,
          complete: true,
          isVoter: false,
          records: [record],
        }),
      ),
    ];
    const two = start();
    await agree(one, two, 'of one user');
    for (const text of hostile) await redis.command('PUBLISH', 'gusher:presence', text);
    // A forged host has valid and invalid records. The valid ones count while it sends heartbeats.
    const heartbeatKey = `gusher:host:{${host}}`;
    await redis.command('SET', heartbeatKey, '1', 'EX', '8');
    for (let chunk = 0; chunk < 32; chunk += 1)
      await redis.command('HSET', `${heartbeatKey}:${chunk}`, '', '1');
    await redis.command(
      'HSET',
      `${heartbeatKey}:0`,
      'shop\na\nfake',
      '1',
      'shop\na\nbad',
      '-1',
      'x',
      'y',
      '\n\n',
      '1',
    );
    const beat = { kind: 'heartbeat', host, sequence: 1, complete: true, isVoter: false, records: [] };
    await redis.command('PUBLISH', 'gusher:presence', JSON.stringify(beat));
    await eventually(() => one.state().includes('a 1 fake'), 'the made up host was read');
    expect(one.state()).to.deep.equal(['1', 'a 1 fake', 'u 1']);
    await redis.command('PUBLISH', 'gusher:presence', JSON.stringify({ ...beat, kind: 'leave' }));
    await eventually(() => one.state().length === 2, 'the made up host has left');
  });
});
