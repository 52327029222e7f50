import { expect } from 'chai';
import { connectClient } from '../../support/client.ts';
import { type RunningGusher, startGusher } from '../../support/gusher.ts';

describe('SocketDispatcher', () => {
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher();
  });

  after(() => gusher.stop());

  it('loses no frame of clients that connect at the same time and send right after the 101', async () => {
    const clients = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const client = await connectClient(gusher.clientUrl());
        client.send('gusher.subscribe', { channel: 'c' });
        return client;
      }),
    );
    const replies = await Promise.all(clients.map((client) => client.next()));
    expect(replies.every(({ event }) => event === 'gusher.subscribe_succeeded')).to.equal(true);
    for (const client of clients) client.socket.terminate();
  });
});
