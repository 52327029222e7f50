import { expect } from 'chai';
import { connectClient, expectError } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile } from '../support/pusher-app.ts';
import { handshake, RawSocket } from '../support/raw-socket.ts';

describe('?reject=close of native clients', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;

  before(async () => {
    apps = new AppsFile({}, { off: { channels: ['*'], enabled: false }, open: { channels: ['*'] } });
    gusher = await startGusher({ workers: 1, env: { GUSHER_APPS_FILE: apps.path } });
  });
  after(async () => {
    await gusher.stop();
    apps.remove();
  });

  it('sends code and message in a frame and a close frame, without creating a connection', async () => {
    for (const [app, code, close] of [
      ['no-app', 'unknown_app', 4000],
      ['off', 'app_disabled', 4000],
      ['%zz', 'unknown_app', 4000],
    ] as const) {
      const client = await connectClient(gusher.clientUrl(app, '?reject=close'));
      const { event, data } = await client.next();
      expect([event, data.code], app).to.deep.equal(['gusher.error', code]);
      expect(await within(client.closed, 'the close')).to.deep.equal({ code: close, reason: data.message });
    }
    const totals = (await (await fetch(`${gusher.api}/v1/stats`)).json()) as { connections: number };
    expect(totals.connections).to.equal(0);
  });

  it('does not affect accepted clients; without it, rejections use HTTP statuses', async () => {
    const client = await connectClient(gusher.clientUrl('open', '?reject=close'));
    await client.subscribe('news');
    await client.close();
    expect(await expectError(gusher.clientUrl('off'))).to.deep.include({ status: 403 });
    expect(await expectError(gusher.clientUrl('off', '?reject=open'))).to.deep.include({ status: 403 });
  });

  it('closes clients that do not answer the close, and uses HTTP statuses beyond its limit', async () => {
    // A slow worker closes the first clients before the last ones arrive: then the limit needs another attempt.
    let statuses: string[];
    do {
      const raw = await Promise.all(Array.from({ length: 260 }, () => RawSocket.connect(gusher.port)));
      for (const one of raw) one.send(handshake('/ws/no-app?reject=close'));
      await eventually(
        () => raw.every(({ received }) => received.includes('unknown_app')),
        'all clients have an answer',
      );
      statuses = raw.map(({ received }) => received.slice(0, 'HTTP/1.1 101'.length));
      const rejected = raw.filter((_, index) => statuses[index] === 'HTTP/1.1 101');
      expect(rejected).not.to.have.length(0);
      expect(statuses.filter((status) => status === 'HTTP/1.1 401')).to.have.length(
        raw.length - rejected.length,
      );
      // The clients keep sending. gusher reads nothing and closes their sockets.
      for (const { socket } of rejected) socket.write(Buffer.alloc(1_000, 0x81));
      await Promise.all(raw.map((one) => one.answer()));
    } while (!statuses.includes('HTTP/1.1 401'));
    const client = await connectClient(gusher.clientUrl('off', '?reject=close'));
    expect((await within(client.closed, 'the close')).code).to.equal(4000);
  });
});
