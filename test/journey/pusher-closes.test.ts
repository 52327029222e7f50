import { expect } from 'chai';
import { WebSocket } from 'ws';
import { eventually, secondsTouchedSince, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP } from '../support/pusher-app.ts';
import { connectPusher, openPusherSocket, type PusherClient } from '../support/pusher-client.ts';
import { optionsFor, PusherJs } from '../support/pusher-js.ts';

const { key } = PUSHER_APP;
const SMALL = { key: 'small', id: '1', secret: 'small-secret' };
const TLS = { key: 'tls', id: '2', secret: 'tls-secret' };
const AUTHORIZED = { key: 'authorized', id: '3', secret: 'authorized-secret' };

/** Closes of the Pusher protocol (§3) that depend on the state of a client or on its app. */
describe('Pusher close codes', () => {
  const apps = new AppsFile(
    {},
    {
      [SMALL.key]: { ...SMALL, max_connections: 5 },
      [TLS.key]: { ...TLS, tls_only: true },
      [AUTHORIZED.key]: { ...AUTHORIZED, authorized_only: true },
    },
  );
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({
      workers: 2,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_HEARTBEAT_INTERVAL_MS: '1500',
        GUSHER_PUSHER_AUTHORIZATION_TIMEOUT_MS: '6000',
      },
    });
  });
  after(async () => {
    await gusher.stop();
    apps.remove();
  });

  const urlOf = (app: string): string => `${gusher.url}/app/${app}`;

  it('sends 4201 to a client that does not answer pings, and none to one that does', async () => {
    const url = urlOf(key);
    const [responsive, unresponsive] = [
      await connectPusher(url, PUSHER_APP),
      new WebSocket(url, { autoPong: false }),
    ];
    const closed = new Promise<number>((resolve) => {
      unresponsive.on('close', resolve);
    });
    expect(await within(closed, 'the close')).to.equal(4201);
    await responsive.expectNothing();
    await responsive.close();
  });

  it('sends 4004 beyond the connection limit of an app over all workers', async () => {
    const url = urlOf(SMALL.key);
    const clients = await Promise.all(Array.from({ length: 15 }, () => openPusherSocket(url, SMALL)));
    await eventually(() => clients.every(({ texts }) => texts.length > 0), 'each has its answer');
    const established = clients.filter(({ texts }) => texts[0]?.includes('connection_established'));
    // Two clients that leave at the same moment free two places.
    expect(established.length).to.be.within(4, 5);
    for (const client of clients.filter((one) => !established.includes(one))) {
      expect((await within(client.closed, 'the close')).code).to.equal(4004);
    }
  });

  describe('for an app that requires TLS', () => {
    it('sends 4000 after one second to a client without TLS, and none behind a TLS proxy', async () => {
      const connect = (proto?: string): Promise<PusherClient> =>
        openPusherSocket(
          urlOf(TLS.key),
          TLS,
          proto === undefined ? {} : { headers: { 'X-Forwarded-Proto': proto } },
        );
      for (const proto of ['https', 'HTTPS', 'http, https', 'wss']) {
        await (await connect(proto)).expectData('pusher:connection_established');
      }
      const begun = performance.now();
      const plain = await Promise.all(
        [undefined, 'http', 'https, http', 'nothttps', 'https:'].map((proto) => connect(proto)),
      );
      for (const { closed, texts } of plain) {
        expect((await within(closed, 'the close')).code).to.equal(4000);
        expect(texts.join()).to.contain('4000').and.not.to.contain('connection_established');
      }
      // Without the delay, a client that already uses TLS would retry without pause.
      expect(performance.now() - begun).to.be.greaterThan(900);
    });

    it('sends 4000, after which pusher-js switches to TLS', async () => {
      const options = optionsFor({ url: gusher.url, ...TLS });
      const client = new PusherJs(TLS.key, {
        ...options,
        enabledTransports: ['ws', 'wss'],
        wsHost: 'localhost',
        wssPort: 9,
      });
      try {
        await eventually(() => client.connection.isUsingTLS(), 'the client uses TLS');
      } finally {
        client.disconnect();
      }
    });
  });

  it('sends 4009 to a client that does not authorize in time', async () => {
    const [idle, publicly, wrongly, privately, present, signedIn] = await Promise.all(
      Array.from({ length: 6 }, () => connectPusher(urlOf(AUTHORIZED.key), AUTHORIZED)),
    );
    await publicly?.subscribe('news');
    wrongly?.send('pusher:subscribe', { channel: 'private-x', auth: `${AUTHORIZED.key}:nonsense` });
    await privately?.subscribe('private-x');
    await present?.subscribe('presence-x', { user_id: 'ann' });
    await signedIn?.signIn({ id: 'ann' });
    for (const client of [idle, publicly, wrongly] as PusherClient[]) {
      expect((await within(client.closed, 'the close')).code).to.equal(4009);
      expect(client.texts.at(-1)).to.contain('"code":4009');
    }
    for (const client of [privately, present, signedIn] as PusherClient[]) await client.settle();
  });
});

/** Closes of the Pusher protocol (§3) that depend on the settings of the server. */
describe('Pusher close codes of a server', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;

  beforeEach(() => {
    apps = new AppsFile();
  });
  afterEach(async () => {
    await gusher.stop();
    apps.remove();
  });

  async function start(env: Readonly<Record<string, string>>): Promise<string> {
    gusher = await startGusher({ workers: 1, env: { GUSHER_APPS_FILE: apps.path, ...env } });
    return `${gusher.url}/app/${key}`;
  }

  it('sends 4200 to established clients when the server stops, and 4100 to queued ones', async () => {
    const url = await start({ GUSHER_PUSHER_CONNECTS_PER_SECOND: '2' });
    const first = await connectPusher(url, PUSHER_APP);
    const second = await openPusherSocket(url, PUSHER_APP);
    gusher.process.kill('SIGTERM');
    expect((await within(second.closed, 'the close')).code).to.equal(4100);
    expect(second.texts.join()).not.to.contain('connection_established');
    expect((await within(first.closed, 'the close')).code).to.equal(4200);
  });

  it('sends 4100, never 42xx, in a close frame to clients beyond the admission queue', async () => {
    const url = await start({
      GUSHER_PUSHER_CONNECTS_PER_SECOND: '1',
      GUSHER_PUSHER_ADMISSION_TIMEOUT_MS: '900',
    });
    const begun = performance.now();
    const clients = await Promise.all(Array.from({ length: 20 }, () => openPusherSocket(url, PUSHER_APP)));
    await eventually(() => clients.every(({ texts }) => texts.length > 0), 'each has its answer');
    const rejected = clients.filter(({ texts }) => !texts.join().includes('connection_established'));
    expect(clients.length - rejected.length).to.be.within(1, 3 + secondsTouchedSince(begun));
    for (const { closed, texts } of rejected) {
      expect((await within(closed, 'the close')).code).to.equal(4100);
      expect(JSON.parse(texts[0] ?? '').data.code).to.equal(4100);
    }
  });

  it('sends 4008 in strict mode to a client without a protocol version', async () => {
    const url = await start({ GUSHER_PUSHER_STRICT_PROTOCOL: 'true' });
    const client = await openPusherSocket(url, PUSHER_APP);
    expect((await within(client.closed, 'the close')).code).to.equal(4008);
    const sound = await connectPusher(`${url}?protocol=5`, PUSHER_APP);
    await sound.close();
  });

  it('sends 4202 to an idle client that answers pings, and none to an active one', async () => {
    const url = await start({ GUSHER_PUSHER_IDLE_TIMEOUT_MS: '4000', GUSHER_HEARTBEAT_INTERVAL_MS: '200' });
    const [idle, pinging, subscribed] = await Promise.all(
      Array.from({ length: 3 }, () => connectPusher(url, PUSHER_APP)),
    );
    await subscribed?.subscribe('news');
    const traffic = setInterval(() => {
      pinging?.send('pusher:ping', {});
      void gusher.publish('news', 'tick', {}, key);
    }, 100);
    try {
      const { code } = await within((idle as PusherClient).closed, 'the close');
      expect(code).to.equal(4202);
      for (const client of [pinging, subscribed]) expect(client?.socket.readyState).to.equal(WebSocket.OPEN);
    } finally {
      clearInterval(traffic);
    }
  });
});
