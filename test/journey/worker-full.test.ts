import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { startGusher } from '../support/gusher.ts';
import { socketCount } from '../support/processes.ts';
import { sendRaw } from '../support/raw-http.ts';

const CLIENTS = 60;

describe('Worker without free descriptors', () => {
  it('passes connections to another worker that has free descriptors', async () => {
    const gusher = await startGusher({ workers: 2 });
    const [full] = gusher.workerPids as [number];
    const descriptors = socketCount(full) + 30;
    execFileSync('prlimit', ['--pid', String(full), `--nofile=${descriptors}:${descriptors}`]);
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => within(connectClient(gusher.clientUrl()), 'a connect')),
    );
    await expectAnswers(clients);
    // The connection counts are still correct: further clients connect too.
    const more = await Promise.all(Array.from({ length: 10 }, () => connectClient(gusher.clientUrl())));
    await expectAnswers([...clients, ...more]);
    for (const { socket } of [...clients, ...more]) socket.terminate();
    expect(await gusher.stop()).to.equal(0);
  });
});

describe('Server without free descriptors in any worker', () => {
  it('reports the cause and the fix in the error and in the log', async () => {
    const gusher = await startGusher({ workers: 1, env: { GUSHER_HEADERS_TIMEOUT_MS: '700' } });
    const [full] = gusher.workerPids as [number];
    const descriptors = socketCount(full);
    execFileSync('prlimit', ['--pid', String(full), `--nofile=${descriptors}:${descriptors}`]);
    const answers = [];
    for (let count = 0; count < 40; count += 1) {
      answers.push(sendRaw(gusher.port, 'GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
    }
    const codes = (await Promise.all(answers)).map(({ body }) => body);
    expect(codes.some((body) => body.includes('"code":"no_descriptors"'))).to.equal(true);
    const line = await gusher.logged('worker_full');
    expect(line.msg).to.contain('LimitNOFILE');
    await gusher.stop();
  });
});

async function expectAnswers(clients: readonly Client[]): Promise<void> {
  const replies = await Promise.all(clients.map((client) => client.request('gusher.ping')));
  for (const { event } of replies) expect(event).to.equal('gusher.pong_succeeded');
}
