import { expect } from 'chai';
import { Api, expectRejected } from '../support/api.ts';
import { type Client, connectClient } from '../support/client.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { keyFolder, signToken } from '../support/tokens.ts';

/** The requests of doc/api.md of gusher.cluster v1.13, with form bodies. */
describe('API of gusher.cluster v1.13', () => {
  const keys = keyFolder();
  let gusher: RunningGusher;
  let ann: Client;
  let socketId: string;
  const api = new Api(() => gusher.api);

  before(async () => {
    gusher = await startGusher({ workers: 2, env: { GUSHER_JWT_PUBLIC_KEY_FILE: keys.publicPath } });
    const token = await signToken(keys.privateKey, {
      app_key: 'TEST',
      user_id: 'ann',
      channels: ['AA', 'AB'],
    });
    ann = await connectClient(`${gusher.url}/ws/TEST?token=${token}`);
    await ann.subscribe('AA');
    await ann.subscribe('AB');
    socketId = (await ann.request('gusher.ping')).socket_id ?? '';
  });
  after(async () => {
    ann.socket.terminate();
    await gusher.stop();
    keys.remove();
  });

  for (const prefix of ['', '/api']) {
    it(`publishes to a channel: POST ${prefix}/push/{app}/{channel}/{event}`, async () => {
      const cases: [data: string, json: string][] = [
        ['{"key":"value"}', '{"key":"value"}'],
        ['1', '1'],
        ['00123', '"00123"'],
        ['hello', '"hello"'],
        ['a+b & c=d ü', '"a+b & c=d ü"'],
      ];
      for (const [data, json] of cases) {
        const { status, text } = await api.form(`${prefix}/push/TEST/AA/notify`, { data });
        expect([status, text]).to.deep.equal([200, `{"channel":"AA","event":"notify","data":${json}}`]);
        expect(await ann.nextText()).to.equal(text);
      }
      expectRejected(await api.form(`${prefix}/push/TEST/AA/notify`, {}), 400, 'bad_body');
    });

    it(`publishes by pattern: POST ${prefix}/push/{app}`, async () => {
      const fields = { channel_pattern: '^A', event: 'e', data: 'x' };
      const { json } = await api.form(`${prefix}/push/TEST`, fields);
      expect(json).to.deep.equal({ total: 2, pattern: '^A' });
      const got = [await ann.nextText(), await ann.nextText()].sort();
      expect(got).to.deep.equal([
        '{"channel":"AA","event":"e","data":"x"}',
        '{"channel":"AB","event":"e","data":"x"}',
      ]);
    });

    it(`publishes a batch: POST ${prefix}/push_batch/{app}`, async () => {
      const batch =
        '[{"channel":"AA","event":"e","data":"test"},{"channel":"AA","event":"e","data":{"a":1}}]';
      const { json } = await api.form(`${prefix}/push_batch/TEST`, { batch_data: batch });
      expect(json).to.deep.equal({ total: 2, cap: batch.length });
      expect((await ann.next()).data).to.equal('test');
      expect((await ann.next()).data).to.deep.equal({ a: 1 });
    });

    it(`publishes to a user and a socket: POST ${prefix}/push/user/…, ${prefix}/push/socket/…`, async () => {
      const toUser = await api.form(`${prefix}/push/user/TEST/ann`, { data: '{"x":1}' });
      expect(toUser.json).to.deep.equal({ user_id: 'ann', data: '{"x":1}' });
      expect(await ann.nextText()).to.equal('{"x":1}');
      const toSocket = await api.form(`${prefix}/push/socket/TEST/${socketId}`, { data: 'txt' });
      expect(toSocket.json).to.deep.equal({ socket_id: socketId, data: 'txt' });
      expect(await ann.nextText()).to.equal('"txt"');
    });

    it(`changes grants: POST ${prefix}/add/channel/user/…, ${prefix}/reload/channel/user/…`, async () => {
      const added = await api.form(`${prefix}/add/channel/user/TEST/ann`, { data: 'aa' });
      expect(added.json).to.deep.equal({ user_id: 'ann', data: 'aa' });
      expect((await ann.next()).data).to.deep.equal({ channel: 'aa' });
      const reloaded = await api.form(`${prefix}/reload/channel/user/TEST/ann`, { data: '["A*","aa"]' });
      expect(reloaded.json).to.deep.equal({ user_id: 'ann', data: '["A*","aa"]' });
      expect((await ann.next()).data).to.deep.equal({ channels: ['A*', 'aa'] });
    });

    it(`decodes a token: POST ${prefix}/decode`, async () => {
      const claims = { app_key: 'TEST', user_id: 'ann', channels: [] };
      const token = await signToken(keys.privateKey, claims);
      expect((await api.form(`${prefix}/decode`, { data: token })).json).to.deep.equal({ gusher: claims });
      const byQuery = await api.post(`${prefix}/decode?data=${token}`, '');
      expect(byQuery.json).to.deep.equal({ gusher: claims });
      const both = await api.form(`${prefix}/decode?data=x`, { data: token });
      expect(both.json).to.deep.equal({ gusher: claims });
    });

    it(`responds to ping: GET ${prefix}/ping`, async () => {
      expect((await api.get(`${prefix}/ping`)).text).to.equal('pong');
    });
  }

  it('accepts fields in the query', async () => {
    const { text } = await api.post('/push/TEST/AA/notify?data=%7B%22a%22%3A1%7D', '');
    expect(text).to.equal('{"channel":"AA","event":"notify","data":{"a":1}}');
    expect(await ann.nextText()).to.equal(text);
  });
});
