import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Api, expectRejected } from '../support/api.ts';
import { type Client, connectClient, expectError } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { keyPairFor, signToken, type TokenOptions } from '../support/tokens.ts';

const KEY = keyPairFor('RS256');

describe('Tokens', () => {
  let folder: string;
  let gusher: RunningGusher;
  const api = new Api(() => gusher.api);
  const publicApi = new Api(() => gusher.url.replace('ws:', 'http:'));
  const clients: Client[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-keys-'));
    const path = join(folder, 'public.pem');
    writeFileSync(path, KEY.jwtPublicKey);
    gusher = await startGusher({
      workers: 2,
      env: {
        GUSHER_JWT_PUBLIC_KEY_FILE: path,
        GUSHER_TOKEN_REFRESH_GRACE_MS: '1000',
        GUSHER_TOKEN_CLOCK_SKEW_MS: '0',
      },
    });
  });
  after(async () => {
    for (const client of clients) client.socket.terminate();
    expect(await gusher.stop()).to.equal(0);
    rmSync(folder, { recursive: true, force: true });
  });

  const sign = (claims: object = {}, options?: TokenOptions): Promise<string> =>
    signToken(
      KEY.privateKey,
      { app_key: 'TEST', user_id: 'ann', channels: ['AA', 'BB'], ...claims },
      options,
    );

  async function connectWith(token: string, path = '/v1/apps/TEST/ws'): Promise<Client> {
    const client = await connectClient(`${gusher.url}${path}?token=${token}`);
    clients.push(client);
    return client;
  }

  it('auth, connect, subscribe, publish: the smoke test of gusher.cluster v3', async () => {
    const jwt = await sign();
    const { status, json, headers } = await publicApi.post(
      '/v1/auth',
      { jwt },
      { 'Content-Type': 'application/json' },
    );
    expect(status).to.equal(200);
    expect(headers.get('access-control-allow-origin')).to.equal('*');
    const client = await connectWith(json.token);
    client.socket.send('{"event":"gusher.subscribe","data":{"channel":"AA"}}');
    expect((await client.next()).event).to.equal('gusher.subscribe_succeeded');
    const pushed = await api.post(
      '/v1/apps/TEST/channels/AA/messages',
      '{"event":"EVENT","data":{"hi":"there"}}',
    );
    expect([pushed.status, pushed.text]).to.deep.equal([
      200,
      '{"channel":"AA","event":"EVENT","data":{"hi":"there"}}',
    ]);
    expect(await client.nextText()).to.equal('{"channel":"AA","event":"EVENT","data":{"hi":"there"}}');
    const denied = await client.request('gusher.subscribe', { channel: 'CC' });
    expect([denied.event, denied.data.code]).to.deep.equal(['gusher.subscribe_error', 'not_granted']);
  });

  it('auth with a form, connect at /ws: as in v1.13', async () => {
    for (const path of ['/auth', '/v1/auth']) {
      const { status, json } = await publicApi.form(path, { jwt: await sign() });
      expect(status).to.equal(200);
      for (const address of ['/ws/TEST', '/wtf/TEST'])
        await (await connectWith(json.token, address)).subscribe('AA');
    }
  });

  it('auth reads form fields from the query too, as in v1.13; fields of the body take precedence', async () => {
    const jwt = await sign();
    expect((await publicApi.post(`/auth?jwt=${jwt}`, '')).json).to.deep.equal({ token: jwt });
    expect((await publicApi.form('/auth?jwt=x', { jwt })).json).to.deep.equal({ token: jwt });
    expect((await publicApi.post('/v1/auth?jwt=x', { jwt })).json).to.deep.equal({ token: jwt });
    expectRejected(await publicApi.post('/auth', ''), 400, 'bad_body');
  });

  it('auth accepts a body that arrives after its headers, and in parts', async () => {
    const body = JSON.stringify({ jwt: await sign() });
    const socket = connect(gusher.port, '127.0.0.1');
    const answer = new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
      });
      socket.on('close', () => resolve(text));
    });
    socket.write(
      `POST /v1/auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`,
    );
    // No event shows that the server has read a part, so a pause separates the TCP segments.
    for (const at of [0, 100, 200]) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      socket.write(body.slice(at, at === 200 ? undefined : at + 100));
    }
    expect(await within(answer, 'an answer')).to.match(/^HTTP\/1\.1 200 [\s\S]*"token"/);
  });

  it('auth accepts a CORS preflight from another origin', async () => {
    const { status, headers } = await publicApi.request('OPTIONS', '/v1/auth', undefined, {
      Origin: 'http://page.example',
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'content-type',
    });
    expect(status).to.equal(204);
    expect(headers.get('access-control-allow-origin')).to.equal('*');
    expect(headers.get('access-control-allow-methods')).to.contain('POST');
    expect(headers.get('access-control-allow-headers')?.toLowerCase()).to.contain('content-type');
  });

  it('auth rejects invalid tokens with a code', async () => {
    const foreign = await signToken(keyPairFor('RS256').privateKey, { app_key: 'TEST' });
    expectRejected(await publicApi.post('/v1/auth', { jwt: foreign }), 401, 'token_rejected');
    expectRejected(
      await publicApi.post('/v1/auth', { jwt: await sign({}, { expiresIn: -9 }) }),
      401,
      'token_expired',
    );
    expectRejected(await publicApi.post('/v1/auth', { jwt: 'x' }), 401, 'token_rejected');
    expectRejected(await publicApi.post('/v1/auth', { token: 'x' }), 400, 'bad_body');
    expectRejected(await publicApi.post('/v1/auth', '{"jwt":'), 400, 'bad_body');
    expectRejected(
      await publicApi.post('/v1/auth', `{"jwt":"${'x'.repeat(40_000)}"}`),
      413,
      'body_too_large',
    );
    expectRejected(await publicApi.post('/v1/nothing', {}), 404, 'not_found');
  });

  it('rejects a socket before the upgrade', async () => {
    const at = (path: string, token: string): string => `${gusher.url}${path}?token=${token}`;
    const token = await sign();
    expect(await expectError(at('/v1/apps/OTHER/ws', token))).to.deep.equal({
      status: 401,
      code: 'token_of_other_app',
    });
    expect((await expectError(at('/ws/TEST', 'x'))).code).to.equal('token_rejected');
    expect((await expectError(at('/ws/TEST', ''))).code).to.equal('no_credential');
    expect((await expectError(at('/ws/TEST', await sign({}, { expiresIn: -9 })))).code).to.equal(
      'token_expired',
    );
  });

  it('decode returns the claims of a token', async () => {
    const jwt = await sign({ remotes: { go: true } });
    const { status, json } = await api.post('/v1/auth/decode', { jwt });
    expect([status, json]).to.deep.equal([
      200,
      { gusher: { app_key: 'TEST', user_id: 'ann', channels: ['AA', 'BB'], remotes: { go: true } } },
    ]);
    expectRejected(await api.post('/v1/auth/decode', { jwt: 'x' }), 401, 'token_rejected');
  });

  it('notifies a client whose token expires, and closes it after the grace period', async () => {
    const client = await connectWith(await sign({}, { expiresIn: 5 }));
    const received = await client.next();
    expect([received.event, received.data]).to.deep.equal([
      'gusher.token_expired',
      { code: 'token_expired', message: 'The token has expired.', grace_ms: 1_000 },
    ]);
    expect((await within(client.closed, 'the close frame')).code).to.equal(4030);
  });

  it('a refresh keeps the socket open, with the new grants', async () => {
    const client = await connectWith(await sign({}, { expiresIn: 5 }));
    await client.subscribe('AA');
    await client.subscribe('BB');
    const renewed = await client.request('gusher.refresh', { token: await sign({ channels: ['B*'] }) });
    expect([renewed.event, renewed.data]).to.deep.equal(['gusher.refresh_succeeded', { channels: ['B*'] }]);
    await api.post('/v1/apps/TEST/channels/AA/messages', { event: 'lost' });
    await api.post('/v1/apps/TEST/channels/BB/messages', { event: 'kept' });
    expect((await client.next()).event).to.equal('kept');
    await client.expectNothing(6_500);
    expect(client.socket.readyState).to.equal(client.socket.OPEN);
  });

  it('rejects a refresh with a token of another user, app or key', async () => {
    const client = await connectWith(await sign());
    const attempts: [token: string, code: string][] = [
      [await sign({ user_id: 'eve' }), 'token_of_other_user'],
      [await sign({ app_key: 'OTHER' }), 'token_of_other_app'],
      [
        await signToken(keyPairFor('RS256').privateKey, { app_key: 'TEST', user_id: 'ann' }),
        'token_rejected',
      ],
    ];
    for (const [token, code] of attempts) {
      const reply = await client.request('gusher.refresh', { token }, { id: 7 });
      expect([reply.event, reply.id, reply.data.code]).to.deep.equal(['gusher.refresh_error', 7, code]);
    }
    await client.subscribe('AA');
  });

  it('delivers user messages and grant changes only to that user of that app', async () => {
    const ann = await connectWith(await sign());
    const annToo = await connectWith(await sign());
    const elsewhere = await connectWith(await sign({ app_key: 'OTHER' }), '/v1/apps/OTHER/ws');
    const eve = await connectWith(await sign({ user_id: 'eve' }));
    const pushed = await api.post('/v1/apps/TEST/users/ann/messages', { data: { n: 1 } });
    expect(pushed.text).to.equal('{"user_id":"ann","data":{"n":1}}');
    const added = await api.post('/v1/apps/TEST/users/ann/channels', { channel: 'CC' });
    expect(added.json).to.deep.equal({ user_id: 'ann', data: 'CC' });
    for (const client of [ann, annToo]) {
      expect(await client.nextText()).to.equal('{"n":1}');
      expect(await client.next()).to.deep.equal({
        event: 'gusher.addchannel',
        socket_id: '',
        data: { channel: 'CC' },
      });
      await client.subscribe('CC');
    }
    const replaced = await api.request('PUT', '/v1/apps/TEST/users/ann/channels', { channels: ['A*'] });
    expect(replaced.json).to.deep.equal({ user_id: 'ann', data: ['A*'] });
    expect(await ann.next()).to.deep.equal({
      event: 'gusher.reloadchannel',
      socket_id: '',
      data: { channels: ['A*'] },
    });
    await api.post('/v1/apps/TEST/channels/CC/messages', { event: 'lost' });
    const list = await ann.request('gusher.querychannel', {});
    expect(list.data.channels).to.deep.equal(['A*']);
    for (const client of [elsewhere, eve]) {
      const grants = await client.request('gusher.querychannel', {});
      expect(grants.data.channels).to.deep.equal(['AA', 'BB']);
    }
  });

  it('logs no token', () => {
    expect(JSON.stringify(gusher.logs)).not.to.match(/eyJ[A-Za-z0-9_-]+\./);
  });
});
