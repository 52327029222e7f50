import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { startGusher } from '../support/gusher.ts';
import { residentBytes } from '../support/processes.ts';
import { leave, Receiver } from '../support/receiver.ts';

const MEBIBYTE = 1024 * 1024;
const MESSAGE = 'x'.repeat(1_000_000);
/** What has been published when the slow client looks again: much more than its outbox and the system hold. */
const EARLY = 20;
const MESSAGES = 105;
/** Of an outbox, the messages on their way and the garbage of 100 MB. */
const ROOM_BYTES = 150 * MEBIBYTE;

describe('a client that stops reading', () => {
  it('while 100 MB are published to it, is closed as too slow and troubles nobody', async () => {
    const gusher = await startGusher({ workers: 1 });
    const [worker] = gusher.workerPids as [number];
    const others = await Receiver.joinMany(2, gusher.clientUrl(), 'flood');
    const slow = await connectClient(gusher.clientUrl());
    const dead = await connectClient(gusher.clientUrl());
    for (const client of [slow, dead]) {
      await client.subscribe('flood');
      client.socket.removeAllListeners('message');
      client.socket.pause();
    }
    const before = residentBytes(worker);
    let most = before;
    for (let number = 1; number <= MESSAGES; number += 1) {
      const response = await gusher.publish('flood', 'drop', number % 35 === 0 ? number : MESSAGE);
      await response.text();
      expect(response.status).to.equal(200);
      if (number % 35 === 0) await Promise.all(others.map((other) => other.hasReceived(number)));
      if (number === EARLY) slow.socket.resume();
      most = Math.max(most, residentBytes(worker));
    }
    expect(await within(slow.closed, 'the end of the slow client')).to.have.property('code', 4101);
    dead.socket.resume();
    await within(dead.closed, 'the end of the client that never read');
    for (const { client, received } of others) {
      expect(received).to.have.lengthOf(MESSAGES);
      expect(client.socket.readyState).to.equal(client.socket.OPEN);
    }
    expect(most - before).to.be.below(ROOM_BYTES);
    leave(others);
    expect(await gusher.stop()).to.equal(0);
  }).timeout(60_000);
});
