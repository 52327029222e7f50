import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type LogLine, startGusher } from '../support/gusher.ts';
import { residentBytes } from '../support/processes.ts';

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
    const others = await Promise.all([1, 2].map(() => countingClient(gusher.clientUrl())));
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
    const isClose = ({ event, connection }: LogLine): boolean =>
      event === 'client_closed' && connection === slowId;
    void gusher.log(isClose, 'the close', TIMEOUT_MS).then(() => slow.socket.resume());
    const before = residentBytes(worker);
    let peak = before;
    for (let batch = 1; batch <= BATCHES; batch += 1) {
      const requests = Array.from({ length: BATCH }, () => gusher.publish('flood', 'drop', MESSAGE));
      for (const response of await Promise.all(requests)) {
        expect(response.status).to.equal(200);
        await response.arrayBuffer();
      }
      peak = Math.max(peak, residentBytes(worker));
      for (const other of others) {
        await eventually(() => other.lengths.length >= batch * BATCH, `batch ${batch} arrives`, TIMEOUT_MS);
      }
    }
    expect(await within(slow.closed, 'the close of the slow client')).to.have.property('code', 4101);
    stopped.socket.resume();
    await within(stopped.closed, 'the close of the client that never reads');
    for (const { client, lengths } of others) {
      expect(lengths).to.have.lengthOf(BATCHES * BATCH);
      expect(Math.min(...lengths)).to.be.above(MESSAGE.length);
      expect(client.socket.readyState).to.equal(client.socket.OPEN);
      client.socket.terminate();
    }
    expect(peak - before).to.be.below(GROWTH_MAX_BYTES);
    expect(await gusher.stop()).to.equal(0);
  }).timeout(3 * TIMEOUT_MS);
});

/** A subscriber that counts publications without decoding them: 200 MB arrive. */
async function countingClient(url: string): Promise<{ client: Client; lengths: number[] }> {
  const client = await connectClient(url);
  await client.subscribe('flood');
  const lengths: number[] = [];
  client.socket.removeAllListeners('message');
  client.socket.on('message', (message: Buffer) => lengths.push(message.length));
  return { client, lengths };
}
