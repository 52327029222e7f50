import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { expect } from 'chai';
import * as ws from 'ws';
import { endReceiversOnce } from '../../../src/worker/websocket/ws-receiver-patch.ts';

describe('the receiver of ws', () => {
  const { Receiver } = ws as unknown as { Receiver: new () => Writable };

  it('is where it is looked for', () => {
    expect(endReceiversOnce()).to.equal(true);
  });

  it('ends once, however often it is told to', async () => {
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

  it('still answers whoever wants to know', async () => {
    const receiver = new Receiver();
    const ended = await new Promise((resolve) => void receiver.end(resolve));
    expect(ended ?? undefined).to.equal(undefined);
    const endedAgain = await new Promise((resolve) => void receiver.end(resolve));
    expect(endedAgain).to.be.instanceOf(Error);
  });
});
