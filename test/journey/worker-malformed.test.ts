import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { startGusher } from '../support/gusher.ts';

/** The first worker writes bytes that are no frame; the second a frame whose message has a wrong shape. */
const SABOTAGE = `import cluster from 'node:cluster';
import { writeSync } from 'node:fs';
const body = JSON.stringify({ type: 'presence', deltas: [null] });
const frames = { 1: 'no frame\\n{bad\\n', 2: 'M\\0\\0\\0' + String.fromCharCode(body.length) + body };
const frame = frames[cluster.worker?.id];
if (frame !== undefined) setTimeout(() => writeSync(4, frame), 1500);`;

describe('Worker that sends malformed frames', () => {
  it('is replaced; the primary and the other workers continue', async () => {
    const sabotage = `data:text/javascript,${encodeURIComponent(SABOTAGE)}`;
    const gusher = await startGusher({ workers: 3, env: { NODE_OPTIONS: `--import=${sabotage}` } });
    try {
      const malformed = (): unknown[] => gusher.logs.filter(({ event }) => event === 'ipc_message_malformed');
      await eventually(() => malformed().length === 2, 'both malformed frames are logged');
      const killed = (): unknown[] => gusher.logs.filter(({ killReason }) => killReason !== undefined);
      await eventually(() => killed().length === 2, 'both workers are killed');
      await eventually(
        async () => (await gusher.publish('news', 'e', 0)).status === 200,
        'gusher serves requests',
      );
      const client = await connectClient(gusher.clientUrl());
      await client.subscribe('news');
      expect((await gusher.publish('news', 'e', 1)).status).to.equal(200);
      expect((await client.next()).event).to.equal('e');
      client.socket.terminate();
    } finally {
      expect(await gusher.stop()).to.equal(0);
    }
  });
});
