import { expect } from 'chai';
import { WebSocket } from 'ws';
import { within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { handshake, maskedFrame, RawSocket } from '../support/raw-socket.ts';

/** GUSHER_LONG_JOURNEYS=1 runs the long form. */
const LONG = process.env.GUSHER_LONG_JOURNEYS === '1';
const CLIENTS = LONG ? 3_000 : 150;
const RATES = LONG ? [50, 200, 1_000] : [200, 1_000];
const PING = '{"event":"gusher.ping","data":"first"}';

describe(`First frame of ${CLIENTS} clients`, () => {
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({ workers: 2 });
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
  });

  for (const perSecond of RATES) {
    it(`gets a reply if sent right after the 101, at ${perSecond} connects/s`, async () => {
      await expectReplies(perSecond, sendAfterUpgrade);
    }).timeout(120_000);

    it(`gets a reply if sent in the TCP segment of the request, at ${perSecond} connects/s`, async () => {
      await expectReplies(perSecond, sendWithRequest);
    }).timeout(120_000);
  }

  it('gets a reply or a close while a worker is killed and restarts', async () => {
    const [victim] = gusher.workerPids as [number];
    const killer = setTimeout(() => process.kill(victim, 'SIGKILL'), 100);
    const outcomes = await connectClients(300, CLIENTS, (port) =>
      sendAfterUpgrade(port).catch(() => 'closed'),
    );
    clearTimeout(killer);
    expect(outcomes.filter((outcome) => outcome !== 'answered' && outcome !== 'closed')).to.deep.equal([]);
    // Only clients of the killed worker may have lost their connection.
    expect(outcomes.filter((outcome) => outcome === 'answered')).to.have.length.above(CLIENTS / 2);
  });

  async function expectReplies(perSecond: number, connect: (port: number) => Promise<string>): Promise<void> {
    const outcomes = await connectClients(perSecond, CLIENTS, connect);
    expect(outcomes.filter((outcome) => outcome !== 'answered')).to.deep.equal([]);
  }

  async function connectClients(
    perSecond: number,
    count: number,
    connect: (port: number) => Promise<string>,
  ): Promise<string[]> {
    const start = performance.now();
    const outcomes: Promise<string>[] = [];
    while (outcomes.length < count) {
      const due = Math.min(count, Math.ceil(((performance.now() - start) / 1_000) * perSecond));
      while (outcomes.length < due) outcomes.push(within(connect(gusher.port), 'an answer').catch(String));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return Promise.all(outcomes);
  }
});

/** Sends the first frame right after the 101. Rejects if the connection closes without a reply. */
function sendAfterUpgrade(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/demo`);
    socket.on('open', () => socket.send(PING));
    socket.on('message', () => {
      resolve('answered');
      socket.terminate();
    });
    socket.on('error', reject);
    socket.on('close', (code) => reject(new Error(`closed with ${code}`)));
  });
}

/** Sends the first frame in the TCP segment of the request. */
async function sendWithRequest(port: number): Promise<string> {
  const raw = await RawSocket.connect(port);
  raw.send(Buffer.concat([Buffer.from(handshake('/ws/demo')), maskedFrame(PING)]));
  await new Promise<void>((resolve, reject) => {
    raw.socket.on('data', () => {
      if (raw.received.includes('gusher.pong_succeeded')) resolve();
    });
    void raw.ended.then((received) => reject(new Error(`closed after: ${received}`)));
  });
  raw.socket.destroy();
  return 'answered';
}
