import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { expect } from 'chai';
import { Api } from '../support/api.ts';
import { type Client, connectClient } from '../support/client.ts';
import { secondsTouchedSince } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { RedisServer } from '../support/redis-server.ts';
import { keyFolder, signToken } from '../support/tokens.ts';

const COMMAND = { remote: 'cmd1', uid: 'x', payload: { n: 1 } };

describe('client events and remotes', () => {
  const keys = keyFolder();
  let gusher: RunningGusher;
  const api = new Api(() => gusher.api);
  const clients: Client[] = [];

  after(() => keys.remove());

  async function join(...channels: string[]): Promise<Client> {
    const token = await signToken(keys.privateKey, {
      app_key: 'shop',
      user_id: 'ann',
      channels: ['*'],
      remotes: { cmd1: true, cmd2: false },
    });
    const client = await connectClient(gusher.clientUrl('shop', `?token=${token}`));
    clients.push(client);
    for (const channel of channels) await client.subscribe(channel);
    return client;
  }

  async function stop(): Promise<void> {
    for (const client of clients.splice(0)) client.socket.terminate();
    await gusher.stop();
  }

  describe('without Redis', () => {
    let backend: Server;
    let status: number;
    const jobs: { name: string | undefined; body: string }[] = [];

    before(async () => {
      backend = createServer((request, response) => {
        void textOf(request).then((body) => {
          jobs.push({ name: request.headers['x-gusher-remote']?.toString(), body });
          response.statusCode = status;
          response.end();
        });
      }).listen(0, '127.0.0.1');
      await once(backend, 'listening');
      status = 204;
      gusher = await startGusher({ workers: 2, env: { GUSHER_JWT_PUBLIC_KEY_FILE: keys.publicPath } });
      const remote_url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}/jobs`;
      await api.request('PUT', '/v1/admin/apps/shop', { channels: [], remote_url, client_events: true });
      await api.request('PUT', '/v1/admin/apps/muted', { channels: ['*'] });
    });
    after(async () => {
      await stop();
      backend.close();
    });

    it('posts a granted remote to the backend and replies to the client', async () => {
      const client = await join();
      const reply = await client.request('gusher.remote', COMMAND);
      expect([reply.event, reply.data]).to.deep.equal([
        'gusher.remote_succeeded',
        { remote: 'cmd1', msg: null },
      ]);
      expect(jobs.map(({ name, body }) => [name, JSON.parse(body)])).to.deep.equal([
        ['cmd1', { user_id: 'ann', socket_id: reply.socket_id, uid: 'x', app_key: 'shop', data: { n: 1 } }],
      ]);
      expect(jobs[0]?.body.startsWith('{"user_id":"ann","socket_id":"')).to.equal(true);
    });

    it('replies with an error code if a remote is not granted or the backend rejects it', async () => {
      const client = await join();
      for (const remote of ['cmd2', 'cmd3', '__proto__']) {
        const reply = await client.request('gusher.remote', { ...COMMAND, remote });
        expect([reply.event, reply.data.remote, reply.data.msg, reply.data.code]).to.deep.equal([
          'gusher.remote_error',
          remote,
          null,
          'remote_not_granted',
        ]);
      }
      status = 500;
      const failed = await client.request('gusher.remote', COMMAND);
      expect([failed.event, failed.data.code]).to.deep.equal(['gusher.remote_error', 'remote_unavailable']);
      status = 204;
      for (const data of [{}, { remote: 'cmd1' }, { ...COMMAND, uid: 7 }]) {
        expect((await client.request('gusher.remote', data)).data.code).to.equal('bad_command');
      }
    });

    it('delivers a client event to the other subscribers on all workers, not to its sender', async () => {
      const [sender, ...others] = [
        await join('room'),
        await join('room'),
        await join('room'),
        await join('room'),
      ];
      const outsider = await join('elsewhere');
      sender.socket.send('{"event":"client-typing","data":{"n":1.0},"channel":"room"}');
      for (const other of others) {
        expect(await other.nextText()).to.equal(
          '{"channel":"room","event":"client-typing","data":{"n":1.0}}',
        );
      }
      await api.post('/v1/apps/shop/channels/room/messages', { event: 'marker' });
      expect((await sender.next()).event).to.equal('marker');
      await api.post('/v1/apps/shop/channels/elsewhere/messages', { event: 'marker' });
      expect((await outsider.next()).event).to.equal('marker');
    });

    it('delivers client events whose sender disconnects right after sending them', async () => {
      const [sender, other] = [await join('room'), await join('room')];
      const events = [1, 2, 3, 4, 5].map((n) => `{"event":"client-bye","data":${n},"channel":"room"}`);
      for (const event of events) sender.socket.send(event);
      sender.socket.close(1000);
      for (const n of [1, 2, 3, 4, 5]) expect((await other.next()).data).to.equal(n);
    });

    it('rejects invalid client events with an error code', async () => {
      const client = await join('room');
      const attempts: [event: string, channel: unknown, code: string][] = [
        ['client-x', 'elsewhere', 'not_subscribed'],
        ['client-x', '', 'bad_channel'],
        [`client-${'x'.repeat(250)}`, 'room', 'bad_client_event'],
        ['client-x', 7, 'bad_command'],
        ['other-x', 'room', 'unknown_command'],
      ];
      for (const [event, channel, code] of attempts) {
        const reply = await client.request(event, {}, { channel, id: 'e1' });
        expect([reply.event, reply.id, reply.data.code], code).to.deep.equal(['gusher.error', 'e1', code]);
      }
      const muted = await connectClient(gusher.clientUrl('muted'));
      clients.push(muted);
      await muted.subscribe('room');
      const reply = await muted.request('client-x', {}, { channel: 'room' });
      expect(reply.data.code).to.equal('client_events_off');
    });

    it('rejects client events beyond the rate and keeps the connection', async () => {
      const client = await join('flood');
      const other = await join('flood');
      const begun = performance.now();
      for (let n = 0; n < 60; n += 1) client.send('client-n', n, { channel: 'flood' });
      client.send('gusher.ping', 'end');
      const rejected: string[] = [];
      for (
        let message = await client.next();
        message.event !== 'gusher.pong_succeeded';
        message = await client.next()
      ) {
        rejected.push(message.data.code);
      }
      expect(new Set(rejected)).to.deep.equal(new Set(['too_many_client_events']));
      const sent = 60 - rejected.length;
      expect(sent).to.be.within(10, 10 * secondsTouchedSince(begun));
      for (let n = 0; n < sent; n += 1) expect((await other.next()).event).to.equal('client-n');
    });
  });

  describe('with Redis', () => {
    let redis: RedisServer;

    before(async () => {
      redis = await RedisServer.start();
      gusher = await startGusher({
        workers: 2,
        redisUrl: redis.url,
        env: {
          GUSHER_JWT_PUBLIC_KEY_FILE: keys.publicPath,
          GUSHER_REMOTE_LIST_MAX_LENGTH: '3',
          GUSHER_REDIS_PREFIX: 'g:',
        },
      });
    });
    after(async () => {
      await stop();
      await redis.stop();
    });

    it('appends remotes to the Redis list that the previous server uses, up to its maximum length', async () => {
      const client = await join();
      const outcomes: string[] = [];
      for (let n = 0; n < 5; n += 1) {
        const { event, data } = await client.request('gusher.remote', { ...COMMAND, payload: n });
        outcomes.push(data.code ?? event);
      }
      expect(outcomes).to.deep.equal([
        ...Array(3).fill('gusher.remote_succeeded'),
        ...Array(2).fill('remote_full'),
      ]);
      const first = await redis.command('LPOP', 'g:shop@cmd1');
      expect(first).to.match(
        /\{"user_id":"ann","socket_id":"[\w-]{20}","uid":"x","app_key":"shop","data":0\}/,
      );
      expect((await client.request('gusher.remote', COMMAND)).event).to.equal('gusher.remote_succeeded');
      await redis.kill();
      expect((await client.request('gusher.remote', COMMAND)).data.code).to.equal('remote_unavailable');
    });
  });
});
