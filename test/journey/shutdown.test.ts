import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type GusherOptions, type RunningGusher, spawnGusher, startGusher } from '../support/gusher.ts';
import { childrenOf, isAlive } from '../support/processes.ts';
import { RedisServer } from '../support/redis-server.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const CLIENTS = { embedded: 500, Redis: 100 } as const;
const MESSAGES = 20;

describe('Graceful shutdown', () => {
  let redis: RedisServer;

  before(async () => {
    redis = await RedisServer.start();
  });

  after(() => redis.stop());

  for (const broker of ['embedded', 'Redis'] as const) {
    it(`closes ${CLIENTS[broker]} clients with a reconnect code after all earlier publications (${broker})`, async () => {
      const gusher = await startGusher({ ...(broker === 'Redis' && { redisUrl: redis.url }) });
      const subscribers = await Subscriber.connectMany(CLIENTS[broker], gusher.clientUrl(), 'news');
      const numbers = Array.from({ length: MESSAGES }, (_, number) => number);
      const published = numbers.map((number) => gusher.publish('news', 'tick', number));
      for (const { status } of await Promise.all(published)) expect(status).to.equal(200);

      gusher.process.kill('SIGTERM');
      const closes = await within(
        Promise.all(subscribers.map(({ client }) => client.closed)),
        'all close frames',
      );
      for (const { code } of closes) expect(code).to.equal(4200);
      for (const { received } of subscribers) expect(received).to.have.members(numbers);
      expect(await gusher.end()).to.equal(0);
      expect(gusher.workerPids.some(isAlive)).to.equal(false);
      expect(gusher.logs.at(-1)).to.include({ event: 'stopped', clean: true });
    });
  }

  describe('with slow closes', () => {
    const slowly = { env: { GUSHER_DRAIN_CLIENTS_PER_SECOND: '1', GUSHER_SHUTDOWN_TIMEOUT_MS: '6000' } };

    it('is not ready and rejects new clients while it closes the others', async () => {
      const { gusher, subscribers } = await startWithClients(20, slowly);
      gusher.process.kill('SIGTERM');
      await eventually(async () => {
        const response = await fetch(`${gusher.api}/readyz`);
        const body = (await response.json()) as { reason?: string };
        return response.status === 503 && body.reason === 'stopping';
      }, 'readiness is off');
      const rejected = await connectClient(gusher.clientUrl()).then(
        () => 'accepted',
        () => 'rejected',
      );
      expect(rejected).to.equal('rejected');
      const open = subscribers.filter(({ client }) => client.socket.readyState === client.socket.OPEN);
      expect(open).to.have.length.above(0);
      expect(await gusher.end()).to.equal(0);
      for (const { client } of subscribers) expect(await client.closed).to.have.property('code', 4200);
    });

    it('exits at once with 1 at a second signal one second later', async () => {
      const { gusher, subscribers } = await startWithClients(20, {
        env: { GUSHER_DRAIN_CLIENTS_PER_SECOND: '1', GUSHER_SHUTDOWN_TIMEOUT_MS: '3600000' },
      });
      gusher.process.kill('SIGTERM');
      // Each worker closes one client per second.
      await eventually(
        () =>
          subscribers.filter(({ client }) => client.socket.readyState >= client.socket.CLOSING).length > 4,
        'clients were closed for more than a second',
      );
      expect(await gusher.stop('SIGINT')).to.equal(1);
      const forced = gusher.logs.find((line) => line.event === 'stop_forced');
      expect(forced?.sinceFirstMs).to.be.at.least(1_000);
      await eventually(() => !gusher.workerPids.some(isAlive), 'the workers have exited');
      disconnectAll(subscribers);
    });
  });

  it('exits with 0 at SIGINT, which a terminal also sends to the workers', async () => {
    const { gusher, subscribers } = await startWithClients(20, {});
    for (const pid of gusher.workerPids) process.kill(pid, 'SIGINT');
    expect(await gusher.stop('SIGINT')).to.equal(0);
    for (const { client } of subscribers) expect(await client.closed).to.have.property('code', 4200);
  });

  it('exits with 0 at SIGHUP, when its terminal closes', async () => {
    const { gusher, subscribers } = await startWithClients(4, {});
    for (const pid of gusher.workerPids) process.kill(pid, 'SIGHUP');
    expect(await gusher.stop('SIGHUP')).to.equal(0);
    for (const { client } of subscribers) expect(await client.closed).to.have.property('code', 4200);
  });

  it('waits no longer than the timeout for clients that do not answer the close', async () => {
    const { gusher, subscribers } = await startWithClients(20, {
      env: { GUSHER_SHUTDOWN_TIMEOUT_MS: '2000' },
    });
    for (const { client } of subscribers) client.socket.pause();
    await gusher.stop();
    for (const { client } of subscribers) client.socket.resume();
    for (const { client } of subscribers) expect(await client.closed).to.have.property('code', 4200);
  });

  it('kills a worker that does not exit before the timeout, and exits with 1', async () => {
    const { gusher, subscribers } = await startWithClients(4, {
      env: { GUSHER_SHUTDOWN_TIMEOUT_MS: '1500' },
    });
    const [stuck] = gusher.workerPids as [number];
    process.kill(stuck, 'SIGSTOP');
    expect(await gusher.stop()).to.equal(1);
    await eventually(() => !gusher.workerPids.some(isAlive), 'the workers have exited');
    expect(gusher.logs.at(-1)).to.include({ event: 'stopped', clean: false });
    disconnectAll(subscribers);
  });

  for (const [kind, code] of [
    ['isWorker', "require('node:http').Server.prototype.closeIdleConnections = fail;"],
    ['isPrimary', "require('node:net').Server.prototype.close = fail;"],
  ] as const) {
    it(`closes the other parts if one fails to close, and exits with 1 (${kind})`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'gusher-stop-'));
      const file = join(folder, 'fail.cjs');
      writeFileSync(
        file,
        `if (require('node:cluster').${kind}) { function fail() { throw new Error('a bug'); } ${code} }\n`,
      );
      const { gusher, subscribers } = await startWithClients(4, {
        env: { NODE_OPTIONS: `--require ${file}` },
      });
      expect(await gusher.stop()).to.equal(1);
      for (const { client } of subscribers) expect(await client.closed).to.have.property('code', 4200);
      expect(gusher.logs.some((line) => line.event === 'close_failed')).to.equal(true);
      expect(gusher.logs.at(-1)).to.include({ event: 'stopped', clean: false });
      rmSync(folder, { recursive: true });
    });
  }

  it('exits with 0 at every moment of the start', async () => {
    const moments = [
      (gusher: RunningGusher) => eventually(() => childCount(gusher) > 0, 'a worker was forked'),
      (gusher: RunningGusher) => eventually(() => childCount(gusher) > 1, 'the last worker was forked'),
      (gusher: RunningGusher) => gusher.logged('worker_ready'),
    ];
    for (const moment of moments) {
      const gusher = spawnGusher({ workers: 2 });
      await moment(gusher);
      expect(await gusher.stop()).to.equal(0);
    }
  });
});

async function startWithClients(
  count: number,
  options: GusherOptions,
): Promise<{ gusher: RunningGusher; subscribers: Subscriber[] }> {
  const gusher = await startGusher(options);
  return { gusher, subscribers: await Subscriber.connectMany(count, gusher.clientUrl(), 'news') };
}

function childCount(gusher: RunningGusher): number {
  return childrenOf(gusher.process.pid ?? 0).length;
}
