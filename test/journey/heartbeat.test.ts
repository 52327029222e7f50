import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { startGusher } from '../support/gusher.ts';

describe('Heartbeat', () => {
  it('closes a client that does not answer pings, and keeps one that does', async () => {
    const gusher = await startGusher({ workers: 1, env: { GUSHER_HEARTBEAT_INTERVAL_MS: '1500' } });
    const unresponsive = await connectClient(gusher.clientUrl(), { autoPong: false });
    const responsive = await connectClient(gusher.clientUrl());
    let pings = 0;
    responsive.socket.on('ping', () => {
      pings += 1;
    });
    expect(await within(unresponsive.closed, 'the close of the unresponsive client')).to.have.property(
      'code',
      4201,
    );
    expect(pings).to.be.above(0);
    expect((await responsive.request('gusher.ping')).event).to.equal('gusher.pong_succeeded');
    await responsive.close();
    expect(await gusher.stop()).to.equal(0);
  });
});
