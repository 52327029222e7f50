import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { upgradeHead } from '../support/frames.ts';
import { startGusher } from '../support/gusher.ts';
import { AppsFile } from '../support/pusher-app.ts';
import { RawSocket } from '../support/raw-socket.ts';

describe('connect rate limit per client address', () => {
  it('rejects connects beyond the rate, and uses the forwarded address behind a trusted proxy', async () => {
    const apps = new AppsFile({}, { open: { channels: ['*'] } });
    const gusher = await startGusher({
      workers: 1,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_TRUSTED_PROXIES: '127.0.0.0/8',
        GUSHER_ADDRESS_CONNECTS_PER_SECOND: '5',
      },
    });
    const connect = async (client: string): Promise<string> => {
      const socket = await RawSocket.connect(gusher.port);
      socket.send(upgradeHead('/ws/open', client === '' ? {} : { 'X-Forwarded-For': client }));
      await eventually(() => socket.received.includes('\r\n\r\n'), 'an answer');
      socket.socket.destroy();
      return socket.received.slice(9, 12);
    };
    const ask = (client: string): Promise<string[]> =>
      Promise.all(Array.from({ length: 20 }, () => connect(client)));
    const flood = await ask('203.0.113.5');
    expect(flood.filter((status) => status === '101')).to.have.length.within(5, 15);
    expect(flood).to.include('429');
    // A client can spoof the left part of the list; gusher ignores it.
    expect(await ask('192.0.2.77, 203.0.113.5')).to.include('429');
    expect(await connect('203.0.113.6')).to.equal('101');
    expect(new Set(await ask(''))).to.deep.equal(new Set(['101']));
    apps.remove();
    expect(await gusher.stop()).to.equal(0);
  });
});
