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

describe('Primary process crash', () => {
  it('closes the clients with a reconnect code, and leaves no process and no open port', async () => {
    const gusher = await startGusher({ workers: 2 });
    const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
    const { port, workerPids } = gusher;
    const apiPort = Number(new URL(gusher.api).port);

    await gusher.stop('SIGKILL');
    const closes = await within(
      Promise.all(subscribers.map(({ client }) => client.closed)),
      'all close frames',
    );
    for (const { code } of closes) expect(code).to.equal(4200);
    await eventually(() => !workerPids.some(isAlive), 'the workers have exited');
    await expectFree(port);
    await expectFree(apiPort);
  });

  it('logs an uncaught exception and closes the clients with a reconnect code', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gusher-crash-'));
    const file = join(folder, 'crash.cjs');
    const error = "process.on('SIGUSR2', () => { throw new Error('a bug'); });";
    writeFileSync(file, `if (require('node:cluster').isPrimary) { ${error} }\n`);
    const gusher = await startGusher({ workers: 2, env: { NODE_OPTIONS: `--require ${file}` } });
    const subscribers = await Subscriber.connectMany(4, gusher.clientUrl(), 'news');

    expect(await gusher.stop('SIGUSR2')).to.equal(1);
    const line = gusher.logs.find(({ event }) => event === 'primary_failed');
    expect(line).to.have.nested.property('err.message', 'a bug');
    const closes = await within(
      Promise.all(subscribers.map(({ client }) => client.closed)),
      'all close frames',
    );
    for (const { code } of closes) expect(code).to.equal(4200);
    await eventually(() => !gusher.workerPids.some(isAlive), 'the workers have exited');
    rmSync(folder, { recursive: true });
  });

  it('still closes every client if the primary is killed during a graceful shutdown', async () => {
    const gusher = await startGusher({ workers: 2, env: { GUSHER_DRAIN_CLIENTS_PER_SECOND: '20' } });
    const subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
    const { workerPids } = gusher;

    gusher.process.kill('SIGTERM');
    await within(Promise.race(subscribers.map(({ client }) => client.closed)), 'the first close');
    await killAndForget(gusher);
    const closes = await within(
      Promise.all(subscribers.map(({ client }) => client.closed)),
      'all close frames',
    );
    for (const { code } of closes) expect(code).to.equal(4200);
    await eventually(() => !workerPids.some(isAlive), 'the workers have exited');
    disconnectAll(subscribers);
  });

  it('leaves no worker if the primary is killed while workers start', async () => {
    const gusher = await startGusher({ workers: 2 });
    const [victim] = gusher.workerPids as [number];
    process.kill(victim, 'SIGKILL');
    await gusher.logged('worker_exited');
    await killAndForget(gusher);
    await eventually(() => !gusher.workerPids.some(isAlive), 'the workers have exited');
    await expectFree(gusher.port);
  });
});

async function killAndForget(gusher: RunningGusher): Promise<void> {
  expect(await gusher.stop('SIGKILL')).to.equal(null);
}

/** Checks that another process can listen on the port. */
async function expectFree(port: number): Promise<void> {
  await eventually(async () => {
    const server = createServer();
    const outcome = await new Promise((resolve) => {
      server.once('error', () => resolve('in use')).listen(port, '127.0.0.1', () => resolve('free'));
    });
    await new Promise((resolve) => server.close(resolve));
    return outcome === 'free';
  }, `port ${port} is free`);
}
