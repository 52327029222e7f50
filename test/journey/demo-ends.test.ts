import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { upgradeHead } from '../support/frames.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { RawSocket } from '../support/raw-socket.ts';

describe('Demo app', () => {
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher();
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
  });

  async function answerTo(target: string, headers: Record<string, string>): Promise<string> {
    const socket = await RawSocket.connect(gusher.port);
    socket.send(upgradeHead(target, headers));
    await eventually(() => socket.received.includes('\r\n\r\n'), 'an answer');
    const isNative = target.startsWith('/ws');
    if (!isNative)
      await eventually(() => socket.received.includes('pusher:'), 'the reply to a Pusher client');
    socket.socket.destroy();
    return socket.received;
  }

  for (const headers of [
    { 'X-Forwarded-For': '192.0.2.1' },
    { 'X-Forwarded-Proto': 'https' },
    { Forwarded: 'for=192.0.2.1' },
    { Via: '1.1 proxy' },
    { 'CF-Connecting-IP': '192.0.2.1' },
    { 'X-Original-Forwarded-For': '192.0.2.1' },
    { Host: 'shop.example' },
    { Host: 'localhost.shop.example:8000' },
  ]) {
    it(`rejects forwarded requests (${JSON.stringify(headers)})`, async () => {
      expect(await answerTo('/ws/demo', headers)).to.include('demo_is_local');
      expect(await answerTo('/app/demo?protocol=7', headers)).to.include('"code":4001');
    });
  }

  it('ends when the first app is registered: its clients are closed and new ones rejected', async () => {
    const clients = await Promise.all([1, 2, 3].map(() => connectClient(gusher.clientUrl())));
    const response = await fetch(`${gusher.api}/v1/admin/apps/board`, {
      method: 'PUT',
      body: '{"channels":["*"]}',
    });
    expect(response.status).to.equal(201);
    for (const { closed } of clients) {
      expect(await within(closed, 'the end of a client')).to.have.property('code', 4001);
    }
    await gusher.log((line) => line.event === 'demo_ended', 'the end of the demo');
    expect(await answerTo('/ws/demo', {})).to.match(/^HTTP\/1\.1 401 /);
    // A worker that starts later must reject them too.
    const [pid] = gusher.workerPids;
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await eventually(() => gusher.workerPids.length === 3, 'another worker');
    for (let count = 0; count < 4; count += 1) {
      expect(await answerTo('/ws/demo', {})).to.match(/^HTTP\/1\.1 401 /);
    }
    const board = await connectClient(gusher.clientUrl('board'));
    await board.close();
  });
});
