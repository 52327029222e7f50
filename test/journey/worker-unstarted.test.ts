import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type LogLine, type RunningGusher, startGusher } from '../support/gusher.ts';
import { descriptorsOf } from '../support/processes.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const CLIENTS = 6;
const TIMEOUT_MS = 15_000;

const isFailure = ({ event }: LogLine): boolean => event === 'worker_fork_failed';
const isOpen = ({ client }: Subscriber): boolean => client.socket.readyState === client.socket.OPEN;

describe('Worker that cannot be started', () => {
  let folder: string;
  let node: string;
  let gusher: RunningGusher;
  let subscribers: Subscriber[];

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-node-'));
  });

  beforeEach(async () => {
    node = join(folder, 'node');
    copyFileSync(process.execPath, node);
    gusher = await startGusher({
      workers: 2,
      node,
      env: { GUSHER_SHUTDOWN_TIMEOUT_MS: String(TIMEOUT_MS) },
    });
    subscribers = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
  });

  afterEach(() => gusher.stop());

  after(() => rmSync(folder, { recursive: true }));

  /** Kills a worker that is not replaced; returns the subscribers of the other one. */
  async function loseWorker(reason: RegExp): Promise<Subscriber[]> {
    process.kill(gusher.workerPids[0] as number, 'SIGKILL');
    await failures(4);
    const [first, ...others] = gusher.logs.filter(isFailure);
    expect(first?.reason).to.match(reason);
    const delays = [first, ...others].slice(0, 4).map((line) => line?.respawnInMs);
    expect(delays).to.deep.equal([0, 100, 200, 400]);
    await eventually(() => subscribers.filter(isOpen).length === CLIENTS / 2, 'its clients are lost');
    const cached = subscribers.filter(isOpen);
    for (const { client } of cached) client.send('gusher.ping');
    await eventually(() => cached.every(({ received }) => received.length > 0), 'the others are served');
    return cached;
  }

  async function failures(count: number): Promise<void> {
    await eventually(() => gusher.logs.filter(isFailure).length >= count, `it failed ${count} times`);
  }

  /** Waits for the new worker, and checks that new clients reach both workers. */
  async function expectRecovery(cached: readonly Subscriber[]): Promise<void> {
    await eventually(() => gusher.workerPids.length === 3, 'there is a new worker');
    const back = await Subscriber.connectMany(CLIENTS, gusher.clientUrl(), 'news');
    expect((await gusher.publish('news', 'tick', 'welcome back')).status).to.equal(200);
    await Promise.all([...cached, ...back].map((subscriber) => subscriber.hasReceived('welcome back')));
    process.kill(gusher.workerPids[1] as number, 'SIGKILL');
    await eventually(() => !cached.some(isOpen), 'the clients of the other one are lost');
    expect(back.filter(isOpen), 'those at the new worker').to.have.lengthOf(CLIENTS / 2 + 1);
    await eventually(() => gusher.workerPids.length === 4, 'the other one is replaced as well');
    disconnectAll([...cached, ...back]);
    expect(await gusher.stop()).to.equal(0);
  }

  it('affects no client if descriptors are missing, and starts when they are available', async () => {
    const primary = gusher.process.pid as number;
    limitDescriptors(primary, 3);
    const cached = await loseWorker(/EMFILE/);
    const open = descriptorsOf(primary);
    // Some descriptors are free, but too few. A failed attempt must free those it opened.
    limitDescriptors(primary, limitWithFree(open, 4));
    await failures(gusher.logs.filter(isFailure).length + 2);
    expect(descriptorsOf(primary)).to.have.lengthOf(open.length);
    limitDescriptors(primary, 1_024);
    await expectRecovery(cached);
  });

  it('starts once its program has been replaced', async () => {
    renameSync(node, `${node}.away`);
    const cached = await loseWorker(/ENOENT/);
    renameSync(`${node}.away`, node);
    await expectRecovery(cached);
  });

  it('starts after Node threw an error', async () => {
    renameSync(node, `${node}.away`);
    symlinkSync(node, node);
    const cached = await loseWorker(/ELOOP/);
    renameSync(`${node}.away`, node);
    await expectRecovery(cached);
  });

  it('does not delay a shutdown', async () => {
    rmSync(node);
    const cached = await loseWorker(/ENOENT/);
    // A worker killed at the timeout would make the exit code 1.
    expect(await gusher.stop()).to.equal(0);
    for (const { client } of cached) expect(await client.closed).to.have.property('code', 4200);
  });
});

/** Limits the descriptors of a process; descriptors above the limit stay open. */
function limitDescriptors(pid: number, limit: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);
}

/** Returns the limit that leaves that many descriptors free. */
function limitWithFree(open: readonly number[], free: number): number {
  let limit = free;
  while (limit - open.filter((descriptor) => descriptor < limit).length < free) limit += 1;
  return limit;
}
