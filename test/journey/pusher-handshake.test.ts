import { expect } from 'chai';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP } from '../support/pusher-app.ts';
import { connectPusher, openPusherSocket, type PusherClient } from '../support/pusher-client.ts';
import { eventOf, optionsFor, PusherJs } from '../support/pusher-js.ts';

/** Which apps accept Pusher clients, and with which rights. */
describe('Pusher handshake', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;
  const clients: PusherClient[] = [];

  before(async () => {
    apps = new AppsFile(
      {},
      { board: { channels: ['news', 'app*'] }, guarded: { url: 'http://127.0.0.1:9/auth' } },
    );
    gusher = await startGusher({ workers: 1, env: { GUSHER_APPS_FILE: apps.path } });
  });

  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.terminate();
  });

  after(async () => {
    await gusher.stop();
    apps.remove();
  });

  async function connect(app: string): Promise<PusherClient> {
    const credentials = { ...PUSHER_APP, key: app };
    const client = await connectPusher(`${gusher.url}/app/${app}`, credentials);
    clients.push(client);
    return client;
  }

  it('grants only the public channels in an app without id and secret', async () => {
    const client = await connect('board');
    for (const channel of ['news', 'apples']) await client.subscribe(channel);
    for (const channel of ['other', 'private-news', 'presence-news', 'private-app']) {
      client.sendSubscribe(channel, '{"user_id":"1"}');
      expect((await client.expect('pusher:subscription_error', channel)).data.type).to.equal('AuthError');
    }
    await gusher.publish('news', 'e', { n: 1 }, 'board');
    expect((await client.expect('e', 'news')).data).to.equal('{"n":1}');
  });

  it('rejects Pusher clients in an app that requires another kind of credential', async () => {
    const client = await openPusherSocket(`${gusher.url}/app/guarded`, PUSHER_APP);
    expect((await within(client.closed, 'the close')).code).to.equal(4001);
  });

  it('applies a change of the app without a restart', async () => {
    const { key, id, secret } = PUSHER_APP;
    const client = await connect(key);
    const name = 'private-changed';
    client.sendSubscribe(name);
    await client.expect('pusher_internal:subscription_succeeded', name);
    apps.write({ [key]: { id, secret: 'another' } });
    await answeredBy('pusher:subscription_error');
    apps.write({ [key]: { id, secret } });
    await answeredBy('pusher_internal:subscription_succeeded');

    /** A change takes effect within half a second. */
    async function answeredBy(event: string): Promise<void> {
      await eventually(async () => {
        client.sendSubscribe(name);
        return (await client.next()).event === event;
      }, `a subscribe is answered by ${event}`);
    }
  });

  it('accepts another connection of a member, even if the channel is above its limit', async () => {
    const { key, id, secret } = PUSHER_APP;
    const channel = 'presence-over';
    for (const user of ['ann', 'bea']) await (await connect(key)).subscribe(channel, { user_id: user });
    apps.write({ [key]: { id, secret, max_presence_members: 1 } });
    await eventually(async () => {
      const client = await connect(key);
      client.sendSubscribe(channel, '{"user_id":"cid"}');
      const { event } = await client.next();
      await client.close();
      return event === 'pusher:subscription_error';
    }, 'the bound is lower than the number of members');
    const again = await connect(key);
    const { presence } = await again.subscribe(channel, { user_id: 'ann' });
    expect(presence.hash).to.include.keys('ann', 'bea');
    apps.write({ [key]: { id, secret } });
  });

  it('responds with 426 to a request without an upgrade', async () => {
    const response = await fetch(`${gusher.url.replace('ws', 'http')}/app/${PUSHER_APP.key}`);
    expect(response.status).to.equal(426);
  });

  it('delivers REST messages for a user to the user object of pusher-js, and for a socket', async () => {
    const { key } = PUSHER_APP;
    const client = new PusherJs(key, optionsFor({ url: gusher.url, ...PUSHER_APP }, { id: 'ann' }));
    try {
      const success = eventOf(client, 'pusher:signin_success');
      client.signin();
      await success;
      const [toUser, toSocket] = [eventOf(client.user, 'for-ann'), eventOf(client, 'for-this')];
      const send = (path: string, event: string): Promise<Response> =>
        fetch(`${gusher.api}/v1/apps/${key}/${path}/messages`, {
          method: 'POST',
          body: JSON.stringify({ event, data: { n: 1 } }),
        });
      expect((await send('users/ann', 'for-ann')).status).to.equal(200);
      expect((await send(`sockets/${client.connection.socket_id}`, 'for-this')).status).to.equal(200);
      expect(await toUser).to.deep.equal({ n: 1 });
      expect(await toSocket).to.deep.equal({ n: 1 });
    } finally {
      client.disconnect();
    }
  });

  it('survives invalid messages of a client', async () => {
    const client = await connect(PUSHER_APP.key);
    const hostile = [
      '{"event":"pusher:subscribe"}',
      '{"event":"pusher:subscribe","data":null}',
      '{"event":"pusher:subscribe","data":"{"}',
      '{"event":"pusher:subscribe","data":[]}',
      '{"event":"pusher:subscribe","data":{"channel":{}}}',
      '{"event":"pusher:subscribe","data":{"channel":"__proto__"}}',
      `{"event":"pusher:subscribe","data":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
      '{"event":"pusher:unsubscribe","data":{"channel":7}}',
      '{"event":"pusher:signin","data":{"channel":7}}',
      '{"event":"client-","channel":"presence-","data":null}',
      '{"event":"client-x","channel":7}',
      '{"event":"__proto__","data":{"__proto__":{"channel":"x"}}}',
    ];
    for (const text of hostile) client.socket.send(text);
    client.socket.send(Buffer.from([0xff, 0xfe]), { binary: true });
    await client.settle();
    await (await connect(PUSHER_APP.key)).subscribe('still-here');
    expect(gusher.logs.filter(({ level }) => level === 'error' || level === 'fatal')).to.deep.equal([]);
  });
});
