import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { upgradeHead } from '../support/frames.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile } from '../support/pusher-app.ts';
import { RawSocket } from '../support/raw-socket.ts';

describe('app restrictions', () => {
  const channels = ['*'];
  const apps = new AppsFile(
    {},
    {
      origins: { channels, origins: ['https://shop.example', 'capacitor://localhost'] },
      tls: { channels, tls_only: true },
      small: { channels, max_connections: 2 },
      off: { channels, enabled: false },
    },
  );
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({ env: { GUSHER_APPS_FILE: apps.path } });
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
    apps.remove();
  });

  /** Returns the HTTP status or the first close of the server. */
  async function connect(target: string, headers: Record<string, string> = {}): Promise<RawSocket> {
    const socket = await RawSocket.connect(gusher.port);
    socket.send(upgradeHead(target, headers));
    await eventually(() => socket.received.includes('\r\n\r\n'), 'an answer');
    return socket;
  }

  const REJECTED: readonly [app: string, headers: Record<string, string>, code: string, close: number][] = [
    ['origins', { Origin: 'https://evil.example' }, 'origin_rejected', 4009],
    ['origins', { Origin: 'null' }, 'origin_rejected', 4009],
    ['tls', {}, 'tls_only', 4000],
    ['tls', { 'X-Forwarded-Proto': 'https, http' }, 'tls_only', 4000],
    ['tls', { Forwarded: 'for=192.0.2.1;proto=http' }, 'tls_only', 4000],
    ['tls', { Forwarded: 'for="_a;proto=https"' }, 'tls_only', 4000],
    ['tls', { Forwarded: 'for=_a;host="b, proto=https"' }, 'tls_only', 4000],
    ['off', {}, 'app_disabled', 4003],
  ];

  for (const [app, headers, code, close] of REJECTED) {
    it(`reject clients of both protocols with ${code} (${JSON.stringify(headers)})`, async () => {
      const native = await connect(`/ws/${app}`, headers);
      expect(await native.answer())
        .to.match(/^HTTP\/1\.1 403 /)
        .and.to.include(`"${code}"`);
      const pusher = await connect(`/app/${app}?protocol=7`, headers);
      await eventually(() => pusher.received.includes(`"code":${close}`), `a close with ${close}`);
      pusher.socket.destroy();
    });
  }

  const ADMITTED: readonly [app: string, headers: Record<string, string>][] = [
    ['origins', {}],
    ['origins', { Origin: 'capacitor://localhost' }],
    ['origins', { Origin: 'https://shop.example' }],
    ['tls', { 'X-Forwarded-Proto': 'http, https' }],
    ['tls', { Forwarded: 'proto=http, for="[2001:db8::1]";proto=https' }],
  ];

  for (const [app, headers] of ADMITTED) {
    it(`accept clients of both protocols in ${app} with ${JSON.stringify(headers)}`, async () => {
      for (const target of [`/ws/${app}`, `/app/${app}?protocol=7`]) {
        const { socket, received } = await connect(target, headers);
        expect(received).to.match(/^HTTP\/1\.1 101 /);
        socket.destroy();
      }
    });
  }

  it('ignores a report of TLS by a peer that is no trusted proxy', async () => {
    for (const [network, expected] of [
      ['192.0.2.0/24', '403'],
      ['127.0.0.0/8', '101'],
    ] as const) {
      const env = { GUSHER_APPS_FILE: apps.path, GUSHER_TRUSTED_PROXIES: network };
      const other = await startGusher({ workers: 1, env });
      for (const headers of [{ 'X-Forwarded-Proto': 'https' }, { Forwarded: 'proto=https' }]) {
        const socket = await RawSocket.connect(other.port);
        socket.send(upgradeHead('/ws/tls', headers as Record<string, string>));
        await eventually(() => socket.received.includes('\r\n\r\n'), 'an answer');
        expect(socket.received.slice(9, 12)).to.equal(expected);
        socket.socket.destroy();
      }
      expect(await other.stop()).to.equal(0);
    }
  });

  it('count the connections of both protocols together', async () => {
    const first = await connect('/ws/small');
    const second = await connect('/app/small?protocol=7');
    await eventually(() => second.received.includes('connection_established'), 'the second one');
    const third = await connect('/ws/small');
    expect(await third.answer())
      .to.match(/^HTTP\/1\.1 403 /)
      .and.to.include('"connections_full"');
    first.socket.destroy();
    await eventually(async () => {
      const again = await connect('/ws/small');
      const isAccepted = again.received.startsWith('HTTP/1.1 101');
      again.socket.destroy();
      return isAccepted;
    }, 'a free place');
    second.socket.destroy();
  });

  it('accept exactly as many concurrent native clients as the limit allows', async () => {
    await eventually(async () => {
      const response = await fetch(`${gusher.api}/v1/apps`);
      return !(await response.text()).includes('"small"');
    }, 'the app is no longer listed');
    const many = await Promise.all(Array.from({ length: 20 }, () => connect('/ws/small')));
    const closed = (socket: RawSocket): boolean =>
      socket.received.includes('connections_full') ||
      socket.socket.destroyed ||
      socket.received.includes('\x0f\xa4');
    await eventually(() => many.filter((socket) => !closed(socket)).length <= 2, 'the surplus is closed');
    expect(many.filter((socket) => !closed(socket))).to.have.length.within(1, 2);
    for (const { socket } of many) socket.destroy();
  });
});
