import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { startGusher } from '../support/gusher.ts';
import { residentBytes } from '../support/processes.ts';
import { disconnectAll, Subscriber } from '../support/subscriber.ts';

const MEBIBYTE = 1024 * 1024;
const MESSAGE = 'x'.repeat(1_000_000);
/** Publications at once: fewer bytes than the send queue limit, so that a reading client is never too slow. */
const BATCH = 3;
const BATCHES = 35;
const TIMEOUT_MS = 60_000;
/** Allowed memory growth: a send queue, messages in progress, and the garbage of 100 MB. */
const GROWTH_MAX_BYTES = 150 * MEBIBYTE;

describe('Client that stops reading', () => {
  it('is closed as too slow while 100 MB are published to it, and does not affect others', async () => {
    const gusher = await startGusher({ workers: 1 });
    const [worker] = gusher.workerPids as [number];
    const others = await Subscriber.connectMany(2, gusher.clientUrl(), 'flood');
    const slow = await connectClient(gusher.clientUrl());
    const { socket_id: slowId } = await slow.request('gusher.ping');
    const stopped = await connectClient(gusher.clientUrl());
    for (const client of [slow, stopped]) {
      await client.subscribe('flood');
      client.socket.removeAllListeners('message');
      client.socket.pause();
    }
    // The server waits a few seconds for the answer to a close. The first client reads when it is closed, the second
    // one never reads.
    void gusher
      .log(({ event, connection }) => event === 'client_closed' && connection === slowId, 'the close')
      .then(() => slow.socket.resume());
    const before = residentBytes(worker);
    let peak = before;
    for (let batch = 1; batch <= BATCHES; batch += 1) {
      const requests = Array.from({ length: BATCH }, () => gusher.publish('flood', 'drop', MESSAGE));
      for (const response of await Promise.all(requests)) {
        expect(response.status).to.equal(200);
        await response.text();
      }
      peak = Math.max(peak, residentBytes(worker));
      await gusher.publish('flood', 'batch', batch);
      await Promise.all(others.map((other) => other.hasReceived(batch, TIMEOUT_MS)));
    }
    expect(await within(slow.closed, 'the close of the slow client')).to.have.property('code', 4101);
    stopped.socket.resume();
    await within(stopped.closed, 'the close of the client that never reads');
    for (const { client, received } of others) {
      expect(received).to.have.lengthOf(BATCHES * (BATCH + 1));
      expect(client.socket.readyState).to.equal(client.socket.OPEN);
    }
    expect(peak - before).to.be.below(GROWTH_MAX_BYTES);
    disconnectAll(others);
    expect(await gusher.stop()).to.equal(0);
  }).timeout(3 * TIMEOUT_MS);
});
