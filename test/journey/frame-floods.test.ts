import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { CONTINUATION, clientFrame, PING, PONG, TEXT, upgradeHead } from '../support/frames.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { RawSocket } from '../support/raw-socket.ts';

const FLOODS: readonly [what: string, first: Buffer, again: Buffer][] = [
  ['pings', Buffer.alloc(0), clientFrame(PING)],
  ['pongs', Buffer.alloc(0), clientFrame(PONG, 'unasked')],
  ['empty fragments', clientFrame(TEXT, '{', { fin: false }), clientFrame(CONTINUATION, '', { fin: false })],
  ['empty messages', Buffer.alloc(0), clientFrame(TEXT)],
];

describe('Frame flood', () => {
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({ workers: 1, env: { GUSHER_PROTOCOL_ERRORS_PER_MINUTE: '1' } });
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
  });

  for (const [what, first, again] of FLOODS) {
    it(`of ${what} closes its sender and does not delay other clients`, async () => {
      const neighbour = await connectClient(gusher.clientUrl());
      const flood = await RawSocket.connect(gusher.port);
      flood.send(upgradeHead('/ws/demo'));
      await eventually(() => flood.received.includes('101'), 'the upgrade');
      flood.send(first);
      const block = Buffer.concat(Array.from({ length: 5_000 }, () => again));
      let isOver = false;
      void flood.ended.then(() => {
        isOver = true;
      });
      const delays: number[] = [];
      const deadline = performance.now() + 20_000;
      while (!isOver && performance.now() < deadline) {
        if (flood.socket.writableLength === 0) flood.send(block);
        const start = performance.now();
        await neighbour.request('gusher.ping');
        delays.push(performance.now() - start);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await neighbour.close();
      expect(isOver, 'the sender is closed').to.equal(true);
      delays.sort((one, other) => one - other);
      expect(delays[Math.floor(delays.length / 2)]).to.be.below(300);
    });
  }

  it('of a few hundred pings gets a pong for each ping', async () => {
    const client = await RawSocket.connect(gusher.port);
    client.send(upgradeHead('/ws/demo'));
    await eventually(() => client.received.includes('\r\n\r\n'), 'the upgrade');
    for (let count = 0; count < 300; count += 1) client.send(clientFrame(PING, `ping ${count}.`));
    await eventually(() => client.received.includes('ping 299.'), 'the last pong');
    for (let count = 0; count < 300; count += 1) expect(client.received).to.include(`ping ${count}.`);
    client.socket.destroy();
  });
});

describe('Rejected client', () => {
  /** Shorter than the time that a client has to answer the close. */
  const SOON_MS = 800;
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({ workers: 1 });
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
  });

  for (const target of ['/app/no-app?protocol=7', '/ws/no-app?reject=close']) {
    for (const [what, first, again] of FLOODS) {
      it(`loses its socket if it sends ${what} instead of a close frame (${target})`, async () => {
        const flood = await RawSocket.connect(gusher.port);
        flood.send(upgradeHead(target));
        await eventually(() => flood.received.includes('App not found.'), 'the error');
        const start = performance.now();
        flood.send(Buffer.concat([first, ...Array.from({ length: 300 }, () => again)]));
        await flood.answer();
        expect(performance.now() - start).to.be.below(SOON_MS);
      });
    }
  }
});

describe('Pusher client in the admission queue', () => {
  it('is no longer read after a hundred frames', async () => {
    const gusher = await startGusher({
      workers: 1,
      env: { GUSHER_PUSHER_CONNECTS_PER_SECOND: '1', GUSHER_PUSHER_ADMISSION_TIMEOUT_MS: '5000' },
    });
    const clients: RawSocket[] = [];
    for (let count = 0; count < 2; count += 1) {
      const client = await RawSocket.connect(gusher.port);
      client.send(upgradeHead('/app/demo?protocol=7'));
      await eventually(() => client.received.includes('101'), 'the upgrade');
      clients.push(client);
    }
    const [, waiting] = clients as [RawSocket, RawSocket];
    waiting.send(Buffer.concat(Array.from({ length: 200 }, () => clientFrame(PONG, 'unasked'))));
    waiting.send(clientFrame(PING, 'too late'));
    await eventually(() => waiting.received.includes('connection_established'), 'its turn');
    expect(waiting.received.split('connection_established')[0]).not.to.include('too late');
    waiting.send(clientFrame(PING, 'admitted'));
    await eventually(() => waiting.received.includes('admitted'), 'the pong');
    for (const { socket } of clients) socket.destroy();
    expect(await gusher.stop()).to.equal(0);
  });

  it('gets pongs for its pings', async () => {
    const gusher = await startGusher({
      workers: 1,
      env: { GUSHER_PUSHER_CONNECTS_PER_SECOND: '1', GUSHER_PUSHER_ADMISSION_TIMEOUT_MS: '1000' },
    });
    const clients = await Promise.all([1, 2, 3].map(() => RawSocket.connect(gusher.port)));
    for (const client of clients) client.send(upgradeHead('/app/demo?protocol=7'));
    await eventually(() => clients.every(({ received }) => received.includes('101')), 'the upgrades');
    for (const client of clients) client.send(clientFrame(PING, 'waiting?'));
    await eventually(() => clients.every(({ received }) => received.includes('waiting?')), 'the pongs');
    expect(clients.filter(({ received }) => received.includes('connection_established'))).to.have.lengthOf(1);
    for (const { socket } of clients) socket.destroy();
    expect(await gusher.stop()).to.equal(0);
  });
});
