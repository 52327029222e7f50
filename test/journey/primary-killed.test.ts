import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { isAlive } from '../support/processes.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const CLIENTS = 40;

describe('a primary that is killed', () => {
  it('leaves clients that are told to come back, no process and no port', async () => {
    const gusher = await startGusher({ workers: 2 });
    const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
    const { port, workerPids } = gusher;
    const apiPort = Number(new URL(gusher.api).port);

    await gusher.stop('SIGKILL');
    const closes = await within(Promise.all(subscribers.map(({ client }) => client.closed)), 'all goodbyes');
    for (const { code } of closes) expect(code).to.equal(4200);
    await eventually(() => !workerPids.some(isAlive), 'the workers are gone');
    await expectFree(port);
    await expectFree(apiPort);
  });

  it('by a fault of its own, says so and leaves clients that are told to come back', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gusher-fault-'));
    const file = join(folder, 'fault.cjs');
    const error = "process.on('SIGUSR2', () => { throw new Error('a bug'); });";
    writeFileSync(file, `if (require('node:cluster').isPrimary) { ${error} }\n`);
    const gusher = await startGusher({ workers: 2, env: { NODE_OPTIONS: `--require ${file}` } });
    const subscribers = await Subscriber.connectMany(4, gusher.clientUrl(), 'news');

    expect(await gusher.stop('SIGUSR2')).to.equal(1);
    const line = gusher.logs.find(({ event }) => event === 'primary_failed');
    expect(line).to.have.nested.property('err.message', 'a bug');
    const closes = await within(Promise.all(subscribers.map(({ client }) => client.closed)), 'all goodbyes');
    for (const { code } of closes) expect(code).to.equal(4200);
    await eventually(() => !gusher.workerPids.some(isAlive), 'the workers are gone');
    rmSync(folder, { recursive: true });
  });

  it('in the middle of a graceful stop, still leaves no client without a goodbye', async () => {
    const gusher = await startGusher({ workers: 2, env: { GUSHER_DRAIN_CLIENTS_PER_SECOND: '20' } });
    const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
    const { workerPids } = gusher;

    gusher.process.kill('SIGTERM');
    await within(Promise.race(subscribers.map(({ client }) => client.closed)), 'the first goodbye');
    await killAndForget(gusher);
    const closes = await within(Promise.all(subscribers.map(({ client }) => client.closed)), 'all goodbyes');
    for (const { code } of closes) expect(code).to.equal(4200);
    await eventually(() => !workerPids.some(isAlive), 'the workers are gone');
    disconnectAll(subscribers);
  });

  it('while workers start, leaves none of them', async () => {
    const gusher = await startGusher({ workers: 2 });
    const [victim] = gusher.workerPids as [number];
    process.kill(victim, 'SIGKILL');
    await gusher.logged('worker_exited');
    await killAndForget(gusher);
    await eventually(() => !gusher.workerPids.some(isAlive), 'the workers are gone');
    await expectFree(gusher.port);
  });
});

async function killAndForget(gusher: RunningGusher): Promise<void> {
  expect(await gusher.stop('SIGKILL')).to.equal(null);
}

/** Listens there as anybody may who comes next. */
async function expectFree(port: number): Promise<void> {
  await eventually(async () => {
    const server = createServer();
    const outcome = await new Promise((resolve) => {
      server.once('error', () => resolve('taken')).listen(port, '127.0.0.1', () => resolve('free'));
    });
    await new Promise((resolve) => server.close(resolve));
    return outcome === 'free';
  }, `port ${port} is free`);
}
