import { expect } from 'chai';
import { Api, expectRejected } from '../support/api.ts';
import { type Client, connectClient } from '../support/client.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { keyFolder, signToken } from '../support/tokens.ts';

const TEST = '/v1/apps/TEST';

describe('Presence API', () => {
  const keys = keyFolder();
  let gusher: RunningGusher;
  const api = new Api(() => gusher.api);
  const clients: Client[] = [];

  before(async () => {
    gusher = await startGusher({ workers: 2, env: { GUSHER_JWT_PUBLIC_KEY_FILE: keys.publicPath } });
    await join('ann', 'TEST', 'news', 'sport', 'a,b');
    await join('ann', 'TEST', 'news');
    await join('bob', 'TEST', 'news', 'stock');
    await join('', 'TEST', 'news');
    await join('cid', 'TEST');
    await join('ann', 'OTHER', 'news', 'private');
  });
  after(async () => {
    for (const client of clients) client.socket.terminate();
    await gusher.stop();
    keys.remove();
  });

  async function join(user: string, app: string, ...channels: string[]): Promise<Client> {
    const token = await signToken(keys.privateKey, { app_key: app, user_id: user, channels: ['*'] });
    const client = await connectClient(`${gusher.url}/v1/apps/${app}/ws?token=${token}`);
    clients.push(client);
    for (const channel of channels) await client.subscribe(channel);
    // A query after this reply includes the connection.
    await client.request('gusher.ping');
    return client;
  }

  const answers: [path: string, expected: unknown][] = [
    [`${TEST}/channels`, ['a,b', 'news', 'sport', 'stock']],
    [`${TEST}/channels?prefix=s`, ['sport', 'stock']],
    [`${TEST}/channels/count`, { count: 4 }],
    [`${TEST}/channels/count?prefix=s`, { count: 2 }],
    [`${TEST}/users`, ['ann', 'bob', 'cid']],
    [`${TEST}/users?prefix=b`, ['bob']],
    [`${TEST}/users/count`, { count: 3 }],
    [`${TEST}/channels/news/users`, ['ann', 'bob']],
    [`${TEST}/channels/news/users/count`, { count: 2 }],
    [`${TEST}/channels/nobody/users`, []],
    [`${TEST}/channels/nobody/users/count`, { count: 0 }],
    [`${TEST}/users?channel=news`, ['ann', 'bob']],
    [`${TEST}/users?channel=news,sport`, ['ann']],
    [`${TEST}/users?channel=news&channel=stock`, ['bob']],
    [`${TEST}/users?channel=news,a%2Cb,sport`, ['ann']],
    [`${TEST}/users?channel=sport,stock`, []],
    [`${TEST}/users/count?channel=news,stock`, { count: 1 }],
    [`${TEST}/channels/${encodeURIComponent('a,b')}/users`, ['ann']],
    ['/v1/apps/OTHER/channels', ['news', 'private']],
    ['/v1/apps/OTHER/users', ['ann']],
    ['/v1/apps/NOBODY/channels', []],
    ['/v1/stats', { apps: 2, connections: 6, users: 4 }],
    [
      '/v1/apps',
      [
        { app: 'OTHER', connections: 1, users: 1 },
        { app: 'TEST', connections: 5, users: 3 },
      ],
    ],
    // v1.13
    ['/TEST/channels', ['a,b', 'news', 'sport', 'stock']],
    ['/api/TEST/channels/count', { count: 4 }],
    ['/api/TEST/online', ['ann', 'bob', 'cid']],
    ['/TEST/online/count', { count: 3 }],
    ['/TEST/online/bychannel/news', ['ann', 'bob']],
    ['/api/TEST/online/bychannel/news/count', { count: 2 }],
  ];
  for (const [path, expected] of answers) {
    it(`returns GET ${path}`, async () => {
      const { status, json } = await api.get(path);
      expect([status, json]).to.deep.equal([200, expected]);
    });
  }

  it('returns a list page by page', async () => {
    const seen: string[] = [];
    let query = 'limit=2';
    for (let pages = 1; ; pages += 1) {
      const { json, headers } = await api.get(`${TEST}/channels?${query}`);
      expect(json.length).to.be.at.most(2);
      seen.push(...json);
      const cursor = headers.get('x-next-cursor');
      if (cursor === null) {
        expect(pages).to.equal(2);
        break;
      }
      query = `limit=2&cursor=${cursor}`;
    }
    expect(seen).to.deep.equal(['a,b', 'news', 'sport', 'stock']);
  });

  it('rejects invalid pages, channels and apps', async () => {
    for (const query of ['limit=0', 'limit=-1', 'limit=x', 'limit=10001', 'cursor=!', 'cursor=']) {
      expectRejected(await api.get(`${TEST}/channels?${query}`), 400, 'bad_page');
    }
    for (const list of ['', ',', 'news,', '%00']) {
      expectRejected(await api.get(`${TEST}/users?channel=${list}`), 400, 'bad_channel');
      expectRejected(await api.get(`${TEST}/users/count?channel=${list}`), 400, 'bad_channel');
    }
    expectRejected(await api.get(`${TEST}/users?channel=%E0%A4%A`), 400, 'bad_channel');
    const many = Array.from({ length: 101 }, (_, n) => `c${n}`).join(',');
    expectRejected(await api.get(`${TEST}/users?channel=${many}`), 400, 'too_many_channels');
    expectRejected(await api.get('/v1/apps/a%40b/users'), 400, 'bad_app');
  });

  it('publishes by pattern to the occupied channels of that app only', async () => {
    const eve = await join('eve', 'TEST', 'room-1', 'room-22', 'lounge');
    const other = await join('eve', 'OTHER', 'room-1');
    const body = '{"channel_pattern":"^room-\\\\d+$","event":"e","data":{"n":1.0}}';
    const { status, text } = await api.post(`${TEST}/messages`, body);
    expect([status, text]).to.deep.equal([200, '{"total":2,"pattern":"^room-\\\\d+$"}']);
    const got = [await eve.nextText(), await eve.nextText()].sort();
    expect(got).to.deep.equal([
      '{"channel":"room-1","event":"e","data":{"n":1.0}}',
      '{"channel":"room-22","event":"e","data":{"n":1.0}}',
    ]);
    // The pattern is not anchored, as in the previous server.
    const { json } = await api.post(`${TEST}/messages`, { channel_pattern: 'oun', event: 'e' });
    expect(json).to.deep.equal({ total: 1, pattern: 'oun' });
    expect((await eve.next()).channel).to.equal('lounge');
    await api.post('/v1/apps/OTHER/channels/room-1/messages', { event: 'marker' });
    expect((await other.next()).event).to.equal('marker');
  });

  it('rejects invalid and expensive patterns at once', async () => {
    const long = 'a'.repeat(200);
    await join('mallory', 'TEST', `${long}!`);
    const started = performance.now();
    // Patterns that block a backtracking engine are harmless here.
    for (const pattern of ['(a+)+$', '(a|a)*$', '(.*a){12}$', '(a?){20}a{20}$']) {
      expect((await api.post(`${TEST}/messages`, { channel_pattern: pattern, event: 'e' })).status).to.equal(
        200,
      );
    }
    const costly = ['(a?){1000}', '((a{100}){10}){10}', '.{1000}'.repeat(20), 'a'.repeat(513)];
    for (const channel_pattern of costly) {
      expectRejected(
        await api.post(`${TEST}/messages`, { channel_pattern, event: 'e' }),
        400,
        'pattern_too_costly',
      );
    }
    for (const channel_pattern of ['', '(', '[', '*', '(?=a)', '\\1', undefined, 7]) {
      expectRejected(await api.post(`${TEST}/messages`, { channel_pattern, event: 'e' }), 400, 'bad_pattern');
    }
    expectRejected(await api.post(`${TEST}/messages`, { channel_pattern: 'a' }), 400, 'bad_event');
    expect(performance.now() - started).to.be.lessThan(30_000);
  });
});
