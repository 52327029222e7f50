import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { startGusher } from '../support/gusher.ts';
import { socketCount } from '../support/processes.ts';

const CLIENTS = 60;

describe('a worker that has no room for more sockets', () => {
  it('costs nobody a connection that another worker can take', async () => {
    const gusher = await startGusher({ workers: 2 });
    const [full] = gusher.workerPids as [number];
    const descriptors = socketCount(full) + 30;
    execFileSync('prlimit', ['--pid', String(full), `--nofile=${descriptors}:${descriptors}`]);
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => within(connectClient(gusher.clientUrl()), 'a connect')),
    );
    await expectAnswers(clients);
    // The bookkeeping still fits what is there: whoever comes next gets in as well.
    const more = await Promise.all(Array.from({ length: 10 }, () => connectClient(gusher.clientUrl())));
    await expectAnswers([...clients, ...more]);
    for (const { socket } of [...clients, ...more]) socket.terminate();
    expect(await gusher.stop()).to.equal(0);
  });
});

async function expectAnswers(clients: readonly Client[]): Promise<void> {
  const replies = await Promise.all(clients.map((client) => client.ask('gusher.ping')));
  for (const { event } of replies) expect(event).to.equal('gusher.pong_succeeded');
}
