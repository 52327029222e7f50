import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type LogLine, type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP, signedTarget } from '../support/pusher-app.ts';
import { connectPusher, openPusherSocket } from '../support/pusher-client.ts';
import { RawSocket } from '../support/raw-socket.ts';

const SECRET_TOKEN = 'eyJ0b2tlbi10aGF0LWlzLXNlY3JldA';
/** The smallest limit that an event of the default size fits. */
const MESSAGE_MAX_BYTES = 12_288;
const SECRET_CREDENTIAL = 's3cr3t-credential';

describe('log lines about clients', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;

  before(async () => {
    const guarded = { id: '7', secret: 'x', origins: ['good.example'] };
    apps = new AppsFile({ jwt_hs256: true }, { guarded, closed: { id: '8', secret: 'y' } });
    gusher = await startGusher({
      workers: 1,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_API_TOKEN: 'api-token-of-this-test',
        GUSHER_MESSAGE_MAX_BYTES: String(MESSAGE_MAX_BYTES),
        GUSHER_PROTOCOL_ERRORS_PER_MINUTE: '2',
      },
    });
  });
  after(async () => {
    await gusher.stop();
    apps.remove();
  });

  const line = (event: string, code: string, more: object = {}): Promise<LogLine> =>
    gusher.log(
      (one) =>
        one.event === event &&
        one.code === code &&
        Object.entries(more).every(([name, value]) => one[name] === value),
      `${event} with ${code}`,
    );

  it('report rejected connects of native clients with app and address', async () => {
    const failed = (url: string): Promise<unknown> =>
      new Promise((resolve) => new WebSocket(url).on('error', resolve));
    await failed(gusher.clientUrl('no-such-app', `?token=${SECRET_TOKEN}`));
    await failed(gusher.clientUrl(PUSHER_APP.key, `?token=${SECRET_TOKEN}`));
    await failed(gusher.clientUrl('closed', `?auth=${SECRET_CREDENTIAL}`));
    expect(await line('connect_rejected', 'unknown_app')).to.include({
      app: 'no-such-app',
      address: '127.0.0.1',
    });
    expect(await line('connect_rejected', 'token_rejected')).to.include({ app: PUSHER_APP.key });
    expect(await line('connect_rejected', 'no_credential')).to.include({ app: 'closed' });
  });

  it('report rejected connects of Pusher clients, including their origin', async () => {
    const client = await openPusherSocket(`${gusher.url}/app/guarded`, PUSHER_APP, {
      origin: 'https://evil.example',
    });
    await within(client.closed, 'the close');
    expect(await line('connect_rejected', 'origin_rejected')).to.include({
      app: 'guarded',
      protocol: 'pusher',
    });
  });

  it('report connects that the listener rejects before any worker', async () => {
    const raw = await RawSocket.connect(gusher.port);
    await raw.send('no http\r\n\r\n').answer();
    expect(await line('connect_rejected', 'bad_request', { process: 'primary' })).to.include({
      address: '127.0.0.1',
    });
  });

  it('report invalid signatures of channels, sign-ins and requests', async () => {
    const client = await connectPusher(`${gusher.url}/app/${PUSHER_APP.key}`, PUSHER_APP);
    const auth = `${PUSHER_APP.key}:${createHmac('sha256', 'another').update('x').digest('hex')}`;
    client.send('pusher:subscribe', { channel: 'private-x', auth });
    client.send('pusher:signin', { auth, user_data: '{"id":"1"}' });
    expect(await line('authorization_rejected', 'bad_channel_auth')).to.include({
      app: PUSHER_APP.key,
      channel: 'private-x',
      connection: client.socketId,
    });
    await line('authorization_rejected', 'signin_rejected');
    await client.close();
    const target = signedTarget('GET', `/apps/${PUSHER_APP.id}/channels`, '', { secret: 'another' });
    expect((await fetch(gusher.api + target)).status).to.equal(401);
    expect(await line('request_rejected', 'bad_signature')).to.include({ app: PUSHER_APP.id, method: 'GET' });
    const headers = { Authorization: `Bearer ${SECRET_TOKEN}` };
    expect((await fetch(`${gusher.api}/v1/apps`, { headers })).status).to.equal(401);
    await line('request_rejected', 'unauthorized');
  });

  it('report closes after protocol errors and oversized messages', async () => {
    const url = `${gusher.url}/app/${PUSHER_APP.key}`;
    const [invalid, long] = [await connectPusher(url, PUSHER_APP), await connectPusher(url, PUSHER_APP)];
    for (let n = 0; n < 3; n += 1) invalid.socket.send('x');
    long.socket.send('x'.repeat(MESSAGE_MAX_BYTES + 1));
    expect(await line('client_closed', 'too_many_protocol_errors')).to.include({
      closeCode: 4029,
      app: PUSHER_APP.key,
      connection: invalid.socketId,
      address: '127.0.0.1',
    });
    expect(await line('client_closed', 'message_too_long')).to.include({ closeCode: 1009 });
  });

  it('are rate-limited', async () => {
    const before = gusher.logs.length;
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => connectClient(gusher.clientUrl(`no-${n}`)).catch(() => undefined)),
    );
    await eventually(
      () => gusher.logs.slice(before).every(({ code }) => code === 'unknown_app'),
      'the lines',
    );
    expect(gusher.logs.length - before).to.be.lessThan(10);
  });

  it('contain no secret', () => {
    const text = JSON.stringify(gusher.logs);
    for (const secret of [SECRET_TOKEN, SECRET_CREDENTIAL, PUSHER_APP.secret])
      expect(text).not.to.contain(secret);
  });
});
