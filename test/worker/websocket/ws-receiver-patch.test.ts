import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import { expect } from 'chai';
import * as ws from 'ws';
import {
  countFrames,
  endReceiversOnce,
  listenToFrames,
} from '../../../src/worker/websocket/ws-receiver-patch.ts';

describe('the patches of the ws receiver', () => {
  const { Receiver } = ws as unknown as { Receiver: new () => Writable };

  it('apply to the installed version of ws', () => {
    expect(endReceiversOnce()).to.equal(true);
    expect(countFrames()).to.equal(true);
  });

  it('end a receiver once, however often `end` is called', async () => {
    const receiver = new Receiver();
    let finishes = 0;
    receiver.on('finish', () => {
      finishes += 1;
    });
    receiver.end();
    await once(receiver, 'finish');
    expect(receiver.end()).to.equal(receiver);
    await new Promise(setImmediate);
    expect(finishes).to.equal(1);
  });

  it('still call the callback of `end`', async () => {
    const receiver = new Receiver();
    const ended = await new Promise((resolve) => void receiver.end(resolve));
    expect(ended ?? undefined).to.equal(undefined);
    const endedAgain = await new Promise((resolve) => void receiver.end(resolve));
    expect(endedAgain).to.be.instanceOf(Error);
  });

  it('report fragments and control frames, but not whole messages', async () => {
    const server = new ws.WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    const client = new ws.WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    try {
      const [[socket]] = await Promise.all([once(server, 'connection'), once(client, 'open')]);
      let frames = 0;
      listenToFrames(socket as ws.WebSocket, {
        frameBegan: () => {
          frames += 1;
        },
      });
      client.send('whole');
      client.send('first ', { fin: false });
      client.send('second ', { fin: false });
      client.send('last', { fin: true });
      client.ping();
      await once(client, 'pong');
      expect(frames).to.equal(3);
    } finally {
      client.terminate();
      server.close();
    }
  });
});
