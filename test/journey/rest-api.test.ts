import { expect } from 'chai';
import { Api, expectRejected } from '../support/api.ts';
import { type Client, connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';

const DEMO = '/v1/apps/demo';

describe('REST API', () => {
  let gusher: RunningGusher;
  const api = new Api(() => gusher.api);
  const clients: Client[] = [];

  before(async () => {
    gusher = await startGusher({ workers: 2 });
  });
  after(async () => {
    for (const client of clients) client.socket.terminate();
    expect(await gusher.stop()).to.equal(0);
    expect(gusher.logs.filter(({ level }) => level === 'error' || level === 'fatal')).to.deep.equal([]);
  });

  async function subscriber(...channels: string[]): Promise<Client> {
    const client = await connectClient(gusher.clientUrl());
    clients.push(client);
    for (const channel of channels) await client.subscribe(channel);
    return client;
  }

  async function socketIdOf(client: Client): Promise<string> {
    return (await client.request('gusher.ping', null)).socket_id ?? '';
  }

  it('publishes a batch in order and returns its size', async () => {
    const client = await subscriber('batch-a', 'batch-b');
    const messages = Array.from({ length: 600 }, (_, n) => {
      return { channel: n % 2 === 0 ? 'batch-a' : 'batch-b', event: 'e', data: n };
    });
    const { status, text } = await api.post(`${DEMO}/messages/batch`, messages);
    expect([status, text]).to.deep.equal([200, '{"total":600}']);
    const seen: Record<string, number[]> = { 'batch-a': [], 'batch-b': [] };
    for (let n = 0; n < 600; n += 1) {
      const { channel = '', data } = await client.next();
      seen[channel]?.push(data);
    }
    const ordered = (list: number[] = []): number[] => [...list].sort((one, other) => one - other);
    expect(seen['batch-a']).to.have.length(300).and.to.deep.equal(ordered(seen['batch-a']));
    expect(seen['batch-b']).to.have.length(300).and.to.deep.equal(ordered(seen['batch-b']));
  });

  it('publishes nothing of a batch with an invalid message, and returns its index', async () => {
    const client = await subscriber('batch-c');
    const good = { channel: 'batch-c', event: 'e', data: 1 };
    const wrong: [unknown, string][] = [
      [{ event: 'e' }, 'bad_channel'],
      [{ channel: 'batch-c' }, 'bad_event'],
      [{ channel: 1, event: 'e' }, 'bad_channel'],
      [7, 'bad_body'],
    ];
    for (const [message, code] of wrong) {
      const answer = await api.post(`${DEMO}/messages/batch`, [good, message]);
      expectRejected(answer, 400, code);
      expect(answer.json.error.index).to.equal(1);
    }
    expectRejected(await api.post(`${DEMO}/messages/batch`, good), 400, 'bad_body');
    expectRejected(
      await api.post(`${DEMO}/messages/batch`, Array(10_001).fill(good)),
      413,
      'batch_too_large',
    );
    await api.post(`${DEMO}/channels/batch-c/messages`, { event: 'marker' });
    expect((await client.next()).event).to.equal('marker');
  });

  it('publishes to a socket: bare data as in the previous server, or an envelope with an event', async () => {
    const client = await subscriber();
    const id = await socketIdOf(client);
    const bare = await api.post(`${DEMO}/sockets/${id}/messages`, '{"data":{"x":1.0}}');
    expect([bare.status, bare.text]).to.deep.equal([200, `{"socket_id":"${id}","data":{"x":1.0}}`]);
    expect(await client.nextText()).to.equal('{"x":1.0}');
    await api.post(`${DEMO}/sockets/${id}/messages`, { event: 'hello', data: 'txt' });
    expect(await client.nextText()).to.equal('{"event":"hello","data":"txt"}');
    await api.post(`${DEMO}/sockets/${id}/messages`, {});
    expect(await client.nextText()).to.equal('null');
  });

  it('publishes once per Idempotency-Key and repeats the response, on every worker', async () => {
    const client = await subscriber('once');
    const headers = { 'Idempotency-Key': 'order-17', Connection: 'close' };
    const body = { event: 'paid', data: 17 };
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => api.post(`${DEMO}/channels/once/messages`, body, headers)),
    );
    for (const { status, text } of answers) {
      expect([status, text]).to.deep.equal([200, '{"channel":"once","event":"paid","data":17}']);
    }
    const other = await api.post(`${DEMO}/channels/once/messages`, { event: 'paid', data: 18 }, headers);
    expectRejected(other, 422, 'idempotency_mismatch');
    await api.post(`${DEMO}/channels/once/messages`, { event: 'marker' });
    expect((await client.next()).event).to.equal('paid');
    expect((await client.next()).event).to.equal('marker');
  });

  it('accepts an Idempotency-Key again if nothing was published with it', async () => {
    const headers = { 'Idempotency-Key': 'again' };
    const path = `${DEMO}/channels/again/messages`;
    expectRejected(await api.post(path, { data: 1 }, headers), 400, 'bad_event');
    expect((await api.post(path, { event: 'e' }, headers)).status).to.equal(200);
    const tooLong = { 'Idempotency-Key': 'k'.repeat(256) };
    expectRejected(await api.post(path, { event: 'e' }, tooLong), 400, 'bad_idempotency_key');
  });

  it('rejects hostile requests with a code, and keeps running', async () => {
    const deep = `{"event":"e","data":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
    expect((await api.post(`${DEMO}/channels/c/messages`, deep)).status).to.equal(200);
    const huge = `{"event":"e","data":"${'x'.repeat(10 * 1024 * 1024)}"}`;
    const rejected = await api.post(`${DEMO}/channels/c/messages`, huge).catch(() => undefined);
    if (rejected !== undefined) expectRejected(rejected, 413, 'body_too_large');
    const cases: [path: string, body: unknown, status: number, code: string][] = [
      ['/v1/apps/nobody/channels/c/messages', { event: 'e' }, 404, 'no_such_app'],
      ['/v1/apps/a%40b/channels/c/messages', { event: 'e' }, 400, 'bad_app'],
      ['/v1/apps/__proto__/users/u/messages', { data: 1 }, 404, 'no_such_app'],
      [`${DEMO}/channels/${'c'.repeat(257)}/messages`, { event: 'e' }, 400, 'bad_channel'],
      [`${DEMO}/channels/c%00/messages`, { event: 'e' }, 400, 'bad_channel'],
      [`${DEMO}/channels/c/messages`, { event: 1 }, 400, 'bad_event'],
      [`${DEMO}/channels/c/messages`, '[]', 400, 'bad_body'],
      [`${DEMO}/channels/c/messages`, '{"event":"e"', 400, 'bad_body'],
      [`${DEMO}/users/${'u'.repeat(257)}/messages`, { data: 1 }, 400, 'bad_user'],
      [`${DEMO}/users/u/messages`, { event: '', data: 1 }, 400, 'bad_event'],
      [`${DEMO}/sockets/${'s'.repeat(65)}/messages`, { data: 1 }, 400, 'bad_socket'],
      [`${DEMO}/users/u/channels`, { channel: 1 }, 400, 'bad_body'],
      [`${DEMO}/users/u/channels`, { channel: '' }, 400, 'bad_channel'],
    ];
    for (const [path, body, status, code] of cases) expectRejected(await api.post(path, body), status, code);
    for (const body of [{ channels: 'a' }, { channels: [1] }, { channels: Array(1_001).fill('a') }]) {
      expectRejected(await api.request('PUT', `${DEMO}/users/u/channels`, body), 400, 'bad_body');
    }
    await eventually(() => gusher.workerPids.length === 2, 'no worker was restarted', 100);
  });
});
