import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import type PusherSdk from 'pusher';
import { Api, type ApiAnswer } from '../support/api.ts';
import { type Client, connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { IdentityServer } from '../support/identity-server.ts';
import { AppsFile, PUSHER_APP, pusherSdk, signedTarget } from '../support/pusher-app.ts';

const APP = `/apps/${PUSHER_APP.id}`;
const EVENT = JSON.stringify({ name: 'e', channel: 'c', data: '{}' });

describe('Pusher HTTP API', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;
  let identityServer: IdentityServer;
  const clients: Client[] = [];
  const apiPort = new Api(() => gusher.api);
  const publicPort = new Api(() => gusher.url.replace('ws:', 'http:'));
  const ports = { 'the API port': apiPort, 'the public port': publicPort };

  before(async () => {
    identityServer = await IdentityServer.start();
    const { url } = identityServer;
    const off = { id: '77', secret: PUSHER_APP.secret, enabled: false };
    apps = new AppsFile({ url }, { off, native: { channels: ['*'] } });
    gusher = await startGusher({
      workers: 2,
      env: {
        GUSHER_APPS_FILE: apps.path,
        GUSHER_PUSHER_PATH_PREFIX: '/realtime',
        GUSHER_API_TOKEN: 'token-that-no-request-needs',
      },
    });
  });

  after(async () => {
    for (const client of clients) client.socket.terminate();
    identityServer.stop();
    expect(await gusher.stop()).to.equal(0);
    apps.remove();
    expect(gusher.logs.filter(({ level }) => level === 'error' || level === 'fatal')).to.deep.equal([]);
  });

  async function subscriber(user: string, ...channels: string[]): Promise<Client> {
    const client = await connectClient(gusher.clientUrl(PUSHER_APP.key, `?auth=${user}`));
    clients.push(client);
    for (const channel of channels) await client.subscribe(channel);
    return client;
  }

  for (const [name, port] of Object.entries(ports)) {
    const sdk = (): PusherSdk => pusherSdk(name === 'the API port' ? gusher.api : gusher.url);

    describe(`on ${name}, with Pusher's SDK for Node`, () => {
      it('publishes to channels and returns {}', async () => {
        const client = await subscriber('ann', 'one', 'two');
        const answer = await sdk().trigger(['one', 'two'], 'greeting', { text: 'hällo' });
        expect([answer.status, await answer.text()]).to.deep.equal([200, '{}']);
        const messages = [await client.next(), await client.next()];
        const byChannel = messages.sort((a, b) => String(a.channel).localeCompare(String(b.channel)));
        expect(byChannel).to.deep.equal(
          ['one', 'two'].map((channel) => ({ channel, event: 'greeting', data: { text: 'hällo' } })),
        );
      });

      it('publishes text that is not JSON as a string', async () => {
        const client = await subscriber('ann', 'texts');
        await sdk().trigger('texts', 'e', 'just words');
        expect(await client.next()).to.deep.equal({ channel: 'texts', event: 'e', data: 'just words' });
      });

      it('returns the counts of channels in the format of the protocol', async () => {
        await subscriber('ann', 'presence-counted', 'counted');
        await subscriber('ann', 'presence-counted');
        await subscriber('bea', 'presence-counted');
        const info = 'user_count,subscription_count';
        const answer = await sdk().trigger(['presence-counted', 'counted', 'empty'], 'e', {}, { info });
        expect(await answer.json()).to.deep.equal({
          channels: {
            'presence-counted': { subscription_count: 3, user_count: 2 },
            counted: { subscription_count: 1 },
            empty: { subscription_count: 0 },
          },
        });
        const batch = await sdk().triggerBatch([
          { channel: 'presence-counted', name: 'e', data: {}, info },
          { channel: 'counted', name: 'e', data: {} },
        ]);
        expect(await batch.json()).to.deep.equal({ batch: [{ subscription_count: 3, user_count: 2 }, {}] });
        for (const client of clients.splice(-3)) await client.close();
      });

      it('publishes a batch in order and returns {}', async () => {
        const client = await subscriber('ann', 'batch');
        const batch = Array.from({ length: 10 }, (_, n) => ({ channel: 'batch', name: `e${n}`, data: n }));
        const answer = await sdk().triggerBatch(batch);
        expect(await answer.text()).to.equal('{}');
        for (let n = 0; n < 10; n += 1) {
          expect(await client.next()).to.deep.equal({ channel: 'batch', event: `e${n}`, data: n });
        }
      });

      it('rejects a batch with an invalid event, and returns its index', async () => {
        const events = ['valid', 'x'.repeat(201)].map((name) => ({ channel: 'batch', name, data: 1 }));
        const body = await sdk()
          .triggerBatch(events)
          .then(
            () => '{}',
            (error: { body: string }) => error.body,
          );
        expect(JSON.parse(body)).to.include({ code: 'bad_event', index: 1 });
      });

      it('lists the occupied channels, and returns the state of one', async () => {
        const client = await subscriber('cid', 'presence-list', 'list-a', 'list-b');
        const get = async (path: string, params = {}) => (await sdk().get({ path, params })).json();
        expect(await get('/channels', { filter_by_prefix: 'list-' })).to.deep.equal({
          channels: { 'list-a': {}, 'list-b': {} },
        });
        const info = 'user_count,subscription_count';
        expect(await get('/channels', { filter_by_prefix: 'presence-list', info })).to.deep.equal({
          channels: { 'presence-list': { subscription_count: 1, user_count: 1 } },
        });
        expect(await get('/channels/presence-list', { info })).to.deep.equal({
          occupied: true,
          subscription_count: 1,
          user_count: 1,
        });
        expect(await get('/channels/list-a', { info: 'subscription_count' })).to.deep.equal({
          occupied: true,
          subscription_count: 1,
        });
        expect(await get('/channels/presence-list/stats')).to.deep.equal({
          occupied: true,
          subscription_count: 1,
          user_count: 1,
        });
        expect(await get('/channels/empty/stats')).to.deep.equal({
          occupied: false,
          subscription_count: 0,
        });
        expect(await get('/channels/empty')).to.deep.equal({ occupied: false });
        expect(await get('/channels/presence-list/users')).to.deep.equal({ users: [{ id: 'cid' }] });
        expect(await get('/channels/presence-none/users')).to.deep.equal({ users: [] });
        await client.close();
        await eventually(async () => {
          const { channels } = await get('/channels', { filter_by_prefix: 'list-' });
          return Object.keys(channels).length === 0;
        }, 'the channels are empty');
      });

      it('closes the connections of a user', async () => {
        const terminated = [await subscriber('dan/ish'), await subscriber('dan/ish')];
        const stays = await subscriber('eve', 'still-here');
        const answer = await sdk().terminateUserConnections('dan/ish');
        expect(await answer.text()).to.equal('{}');
        for (const client of terminated) {
          expect((await within(client.closed, 'the end of a connection')).code).to.equal(4009);
        }
        await sdk().trigger('still-here', 'e', 1);
        expect((await stays.next()).data).to.equal(1);
      });
    });

    describe(`on ${name}`, () => {
      const post = (path: string, body: string, more = {}): Promise<ApiAnswer> =>
        port.post(signedTarget('POST', path, body, more), body);
      const get = (path: string, query = {}): Promise<ApiAnswer> =>
        port.get(signedTarget('GET', path, '', { query }));

      it('rejects requests without a valid signature, with the reason', async () => {
        const now = Math.floor(Date.now() / 1_000);
        const errors: [Promise<ApiAnswer>, number, string][] = [
          [post(`${APP}/events`, EVENT, { secret: 'another' }), 401, 'bad_signature'],
          [post(`${APP}/events`, EVENT, { key: 'native' }), 401, 'bad_auth_key'],
          [post(`${APP}/events`, EVENT, { timestamp: now - 700 }), 401, 'stale_auth_timestamp'],
          [post(`${APP}/events`, EVENT, { timestamp: now + 700 }), 401, 'stale_auth_timestamp'],
          [port.post(signedTarget('POST', `${APP}/events`, EVENT), `${EVENT} `), 401, 'bad_body_md5'],
          [port.post(signedTarget('POST', `${APP}/events`), EVENT), 401, 'bad_body_md5'],
          [port.post(`${APP}/events`, EVENT), 401, 'bad_auth_key'],
          [port.get(`${APP}/channels`), 401, 'bad_auth_key'],
          [
            port.get(signedTarget('GET', `${APP}/channel`).replace('channel?', 'channels?')),
            401,
            'bad_signature',
          ],
          [post('/apps/4243/events', EVENT), 404, 'unknown_app_id'],
          [post('/apps/native/events', EVENT), 404, 'unknown_app_id'],
          [post('/apps/77/events', EVENT, { key: 'off' }), 403, 'app_disabled'],
        ];
        for (const [answer, status, code] of errors) {
          const { status: got, json } = await answer;
          expect([got, json?.code]).to.deep.equal([status, code]);
          expect(json.error, code).to.be.a('string');
        }
      });

      it('rejects invalid events', async () => {
        const event = { name: 'e', channel: 'c', data: 'd' };
        const channels = (count: number): string[] => Array.from({ length: count }, (_, n) => `c${n}`);
        const wrong: [unknown, number, string][] = [
          ['', 400, 'bad_pusher_event'],
          ['nothing', 400, 'bad_body'],
          [[], 400, 'bad_body'],
          [null, 400, 'bad_body'],
          [{}, 400, 'bad_pusher_event'],
          [{ ...event, name: 1 }, 400, 'bad_pusher_event'],
          [{ ...event, name: '' }, 400, 'bad_event'],
          [{ ...event, name: 'e'.repeat(201) }, 400, 'bad_event'],
          [{ ...event, data: { an: 'object' } }, 400, 'bad_pusher_event'],
          [{ ...event, data: undefined }, 400, 'bad_pusher_event'],
          [{ ...event, data: 'ä'.repeat(5_121) }, 413, 'event_too_large'],
          [{ ...event, channel: undefined }, 400, 'bad_pusher_event'],
          [{ ...event, channel: 'with space' }, 400, 'bad_pusher_channel'],
          [{ ...event, channel: 'c'.repeat(201) }, 400, 'bad_pusher_channel'],
          [{ ...event, channel: '#other' }, 400, 'bad_pusher_channel'],
          [{ ...event, channels: 'c' }, 400, 'bad_pusher_event'],
          [{ ...event, channels: [] }, 400, 'bad_pusher_event'],
          [{ ...event, channels: [1] }, 400, 'bad_pusher_event'],
          [{ ...event, channels: channels(101) }, 400, 'too_many_event_channels'],
          [{ ...event, channels: ['private-encrypted-a', 'b'] }, 400, 'encrypted_channel_not_alone'],
          [{ ...event, socket_id: '1234' }, 400, 'bad_pusher_socket'],
          [{ ...event, socket_id: '1.2:private-x' }, 400, 'bad_pusher_socket'],
          [{ ...event, info: ['user_count'] }, 400, 'bad_pusher_event'],
        ];
        for (const [body, status, code] of wrong) {
          const text = typeof body === 'string' ? body : JSON.stringify(body);
          const answer = await post(`${APP}/events`, text);
          expect([answer.status, answer.json?.code], text.slice(0, 80)).to.deep.equal([status, code]);
        }
        expect(
          (await post(`${APP}/events`, JSON.stringify({ ...event, channels: channels(100) }))).text,
        ).to.equal('{}');
      });

      it('rejects a whole batch if one event is invalid', async () => {
        const client = await subscriber('ann', 'whole');
        const event = { name: 'e', channel: 'whole', data: 'd' };
        const wrong: [unknown, string][] = [
          [{}, 'bad_batch'],
          [{ batch: [] }, 'bad_batch'],
          [{ batch: 'x' }, 'bad_batch'],
          [{ batch: Array(11).fill(event) }, 'bad_batch'],
          [{ batch: [event, null] }, 'bad_pusher_event'],
          [{ batch: [event, { ...event, channels: ['whole', 'other'] }] }, 'too_many_event_channels'],
        ];
        for (const [body, code] of wrong) {
          const answer = await post(`${APP}/batch_events`, JSON.stringify(body));
          expect([answer.status, answer.json?.code], JSON.stringify(body)).to.deep.equal([400, code]);
        }
        await client.expectNothing(100);
      });

      it('rejects invalid queries', async () => {
        expect((await get(`${APP}/channels`, { info: 'user_count' })).json.code).to.equal(
          'users_not_counted',
        );
        const prefixed = await get(`${APP}/channels`, { info: 'user_count', filter_by_prefix: 'private-' });
        expect([prefixed.status, prefixed.json.code]).to.deep.equal([400, 'users_not_counted']);
        expect((await get(`${APP}/channels/private-x/users`)).status).to.equal(400);
        expect((await get(`${APP}/nothing`)).status).to.equal(404);
      });

      it('accepts the path prefix, signed or not', async () => {
        const [prefixed, bare] = [`/realtime${APP}/channels`, `${APP}/channels`];
        expect((await get(prefixed)).status).to.equal(200);
        expect((await port.get(signedTarget('GET', bare).replace(bare, prefixed))).status).to.equal(200);
        expect((await port.get(signedTarget('GET', prefixed).replace(prefixed, bare))).status).to.equal(200);
        expect((await get(`/other${APP}/channels`)).status).to.equal(404);
      });

      it('accepts the requests of old SDKs: parameters in the query, data as the body', async () => {
        const client = await subscriber('ann', 'old');
        const query = { name: 'from query', channel: 'old', data: '"1"' };
        expect((await post(`${APP}/events`, '', { query })).text).to.equal('{}');
        expect(await client.next()).to.deep.equal({ channel: 'old', event: 'from query', data: '1' });
        const answer = await post(`${APP}/channels/old/events`, '{"n":2}', { query: { name: 'older' } });
        expect(answer.status).to.equal(202);
        expect(await client.next()).to.deep.equal({ channel: 'old', event: 'older', data: { n: 2 } });
      });

      it('counts connections, like Reverb', async () => {
        const client = await subscriber('ann');
        expect((await get(`${APP}/connections`)).json.connections)
          .to.be.a('number')
          .and.greaterThan(0);
        await client.close();
      });
    });
  }

  it('receives the whole body on the public port, at any split of the packets', async () => {
    const client = await subscriber('ann', 'cut');
    const data = JSON.stringify('x'.repeat(9_000));
    const body = JSON.stringify({ name: 'e', channel: 'cut', data });
    const head = (length: number): string =>
      `POST ${signedTarget('POST', `${APP}/events`, body)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`;
    for (let round = 0; round < 60; round += 1) {
      const socket = connect(gusher.port, '127.0.0.1').setNoDelay(true);
      socket.on('error', () => undefined);
      let answer = '';
      socket.on('data', (chunk: Buffer) => {
        answer += chunk.toString();
      });
      const closed = once(socket, 'close');
      const text = head(Buffer.byteLength(body)) + body;
      // The body arrives with the headers, right after them, and some ms later, while the socket moves to a worker.
      const cut = round % 3 === 0 ? 100 : text.length - body.length + (round % 3) * 100 * (round % 2);
      socket.write(text.slice(0, cut));
      await pause(round % 4);
      socket.write(text.slice(cut, cut + 3_000));
      await pause(round % 4);
      socket.write(text.slice(cut + 3_000));
      await within(closed, `the answer to request ${round}`);
      expect(answer, `round ${round}`).to.match(/^HTTP\/1\.1 200 OK\r\n/);
      expect(answer.toLowerCase()).to.contain('\r\nconnection: close\r\n');
      expect(JSON.stringify((await client.next()).data)).to.equal(data);
    }
  });

  it('rejects other requests with a body on the public port', async () => {
    const wrong: [path: string, method: string, status: number][] = [
      ['/v1/apps/demo/channels/c/messages', 'POST', 404],
      [`${APP}/events`, 'PUT', 405],
      [`${APP}/channels`, 'POST', 405],
    ];
    for (const [path, method, status] of wrong) {
      expect((await publicPort.request(method, path, EVENT)).status, `${method} ${path}`).to.equal(status);
    }
    const large = 'x'.repeat(1024 * 1024 + 1);
    expect((await publicPort.post(signedTarget('POST', `${APP}/events`, large), large)).status).to.equal(413);
  });
});
