import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { startGusher } from '../support/gusher.ts';
import { socketCount } from '../support/processes.ts';
import { RawSocket, readErrorResponse } from '../support/raw-socket.ts';

const SOCKETS = 2_000;
const CAP = 1_500;
const OPEN_FILES = 160;

describe('2,000 sockets that never send a byte', () => {
  it('are limited and closed after the timeout, while other clients connect', async () => {
    const gusher = await startGusher({
      workers: 1,
      env: { GUSHER_HEADERS_TIMEOUT_MS: '4000', GUSHER_PENDING_SOCKETS_MAX: String(CAP) },
    });
    const primary = gusher.process.pid ?? 0;
    const before = socketCount(primary);
    const silent: RawSocket[] = [];
    for (let count = 0; count < SOCKETS; count += 100) {
      silent.push(...(await Promise.all(Array.from({ length: 100 }, () => RawSocket.connect(gusher.port)))));
    }
    expect(socketCount(primary) - before).to.be.at.most(CAP + 100);
    const client = await connectClient(gusher.clientUrl());
    expect((await client.request('gusher.ping')).event).to.equal('gusher.pong_succeeded');

    const answers = await within(Promise.all(silent.map(({ ended }) => ended)), 'the end of all');
    const received = answers.filter((answer) => answer !== '').map(readErrorResponse);
    expect(received).to.have.length.within(1, CAP);
    for (const error of received) expect(error).to.deep.equal({ status: 408, code: 'request_timeout' });
    expect((await client.request('gusher.ping')).event).to.equal('gusher.pong_succeeded');
    await client.close();
    await eventually(() => socketCount(primary) <= before, 'no socket is left');
    expect(await gusher.stop()).to.equal(0);
  });
});

describe('More silent sockets than file descriptors', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-files-'));
  });

  after(() => rmSync(folder, { recursive: true }));

  it('leave enough descriptors for other clients and for a new worker', async () => {
    const node = join(folder, 'node');
    writeFileSync(node, `#!/bin/sh\nulimit -n ${OPEN_FILES}\nexec '${process.execPath}' "$@"\n`);
    chmodSync(node, 0o755);
    const gusher = await startGusher({ node, env: { GUSHER_HEADERS_TIMEOUT_MS: '60000' } });
    const silent = await Promise.all(
      Array.from({ length: OPEN_FILES }, () => RawSocket.connect(gusher.port)),
    );
    const client = await connectClient(gusher.clientUrl());
    expect((await client.request('gusher.ping')).event).to.equal('gusher.pong_succeeded');
    process.kill(gusher.workerPids[0] as number, 'SIGKILL');
    await eventually(() => gusher.workerPids.length === 3, 'there is a new worker');
    const errors = gusher.logs.filter(({ level }) => level === 'error');
    expect(errors.map(({ event }) => event)).to.deep.equal(['worker_exited']);
    client.socket.terminate();
    for (const { socket } of silent) socket.destroy();
    expect(await gusher.stop()).to.equal(0);
  });
});
