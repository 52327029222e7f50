import { expect } from 'chai';
import { Api } from '../support/api.ts';
import { type Client, connectClient, expectError } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { type GusherJs, loadGusherJs } from '../support/gusher-js.ts';
import { RedisServer } from '../support/redis-server.ts';
import { keyFolder, signToken } from '../support/tokens.ts';

const TEST = '/v1/apps/TEST';

/**
 * The features of gusher.cluster v1.13 and v3, one test per row of the comparison. Two hosts share one Redis;
 * the tests use the names of v1.13 and unregistered apps.
 */
describe('Features of gusher.cluster', () => {
  const keys = keyFolder();
  let redis: RedisServer;
  let host: RunningGusher;
  let otherHost: RunningGusher;
  const api = new Api(() => host.api);
  const otherApi = new Api(() => otherHost.api);
  const clients: Client[] = [];

  before(async () => {
    redis = await RedisServer.start();
    const options = {
      workers: 2,
      redisUrl: redis.url,
      env: { GUSHER_JWT_PUBLIC_KEY_FILE: keys.publicPath, GUSHER_REDIS_PREFIX: 'gusher.cluster.' },
    };
    [host, otherHost] = await Promise.all([startGusher(options), startGusher(options)]);
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.socket.terminate();
  });
  after(async () => {
    await Promise.all([host.stop(), otherHost.stop()]);
    await redis.stop();
    keys.remove();
  });

  const sign = (claims: object = {}): Promise<string> =>
    signToken(keys.privateKey, { app_key: 'TEST', user_id: 'ann', channels: ['*'], ...claims });

  interface Joining {
    readonly at?: RunningGusher;
    readonly app?: string;
    readonly user?: string;
    readonly grants?: string[];
    readonly remotes?: Record<string, boolean>;
  }

  async function join(
    channels: string[] = [],
    { at = host, app = 'TEST', user = 'ann', ...more }: Joining = {},
  ) {
    const { grants = ['*'], remotes = {} } = more;
    const token = await sign({ app_key: app, user_id: user, channels: grants, remotes });
    const client = await connectClient(`${at.url}/v1/apps/${app}/ws?token=${token}`);
    clients.push(client);
    for (const channel of channels) await client.subscribe(channel);
    return client;
  }

  it('connects a client with a token', async () => {
    const token = await sign();
    for (const path of ['/ws/TEST', '/wtf/TEST', '/v1/apps/TEST/ws']) {
      await (await connectClient(`${host.url}${path}?token=${token}`)).close();
    }
  });

  it('authenticates a client over HTTP', async () => {
    const publicApi = new Api(() => host.url.replace('ws:', 'http:'));
    const jwt = await sign();
    expect((await publicApi.form('/auth', { jwt })).json.token).to.be.a('string');
    expect((await publicApi.post('/v1/auth', { jwt })).json).to.deep.equal({ token: jwt });
    expect((await expectError(`${host.url}/ws/TEST?token=x`)).status).to.equal(401);
  });

  it('accepts any app key that a token names', async () => {
    await join(['AA'], { app: 'unregistered' });
    expect((await api.post('/v1/apps/unregistered/channels/AA/messages', { event: 'e' })).status).to.equal(
      200,
    );
  });

  it('subscribes and unsubscribes', async () => {
    const client = await join();
    const subscribed = await client.request('gusher.subscribe', { channel: 'AA' });
    expect(subscribed).to.deep.equal({
      event: 'gusher.subscribe_succeeded',
      socket_id: subscribed.socket_id,
      data: { channel: 'AA' },
    });
    expect((await client.request('gusher.subscribe', { channel: 'AA' })).event).to.equal(
      'gusher.subscribe_succeeded',
    );
    expect((await client.request('gusher.unsubscribe', { channel: 'AA' })).event).to.equal(
      'gusher.unsubscribe_succeeded',
    );
    expect((await client.request('gusher.unsubscribe', { channel: 'AA' })).event).to.equal(
      'gusher.unsubscribe_succeeded',
    );
  });

  it('subscribes to several channels with multi_subscribe', async () => {
    const client = await join([], { grants: ['AA', 'BB'] });
    const data = { multi_channel: ['AA', 'BB'] };
    const reply = await client.request('gusher.multi_subscribe', data);
    expect([reply.event, reply.data.channel]).to.deep.equal([
      'gusher.multi_subscribe_succeeded',
      ['AA', 'BB'],
    ]);
    const rejected = await client.request('gusher.multi_subscribe', { multi_channel: ['AA', 'ZZ'] });
    expect([rejected.event, rejected.data.channel]).to.deep.equal([
      'gusher.multi_subscribe_error',
      ['AA', 'ZZ'],
    ]);
  });

  it('grants channels by wildcard', async () => {
    const client = await join([], { grants: ['app*', 't*st'] });
    const outcomes: string[] = [];
    for (const channel of ['apple', 'app', 'xapple', 'test', 'tst']) {
      outcomes.push(
        (await client.request('gusher.subscribe', { channel })).event.replace('gusher.subscribe_', ''),
      );
    }
    expect(outcomes).to.deep.equal(['succeeded', 'error', 'error', 'succeeded', 'error']);
  });

  it('lists the subscriptions with querychannel', async () => {
    const client = await join([], { grants: ['AA', 'app*'] });
    const { event, data } = await client.request('gusher.querychannel', {});
    expect([event, data]).to.deep.equal(['gusher.querychannel_succeeded', { channels: ['AA', 'app*'] }]);
  });

  it('replies to the ping event', async () => {
    const { event, data, time } = await (await join()).request('gusher.ping', { a: 1 });
    expect([event, data]).to.deep.equal(['gusher.pong_succeeded', { a: 1 }]);
    expect(time).to.be.closeTo(Date.now() / 1_000, 60);
  });

  it('sends a remote to the list of its queue', async () => {
    const client = await join([], { remotes: { cmd1: true } });
    const command = { remote: 'cmd1', uid: 'x', payload: [1] };
    const { event, data } = await client.request('gusher.remote', command, { debug: true });
    expect([event, data]).to.deep.equal(['gusher.remote_succeeded', { remote: 'cmd1', msg: null }]);
    expect(await redis.command('LPOP', 'gusher.cluster.TEST@cmd1')).to.contain(
      '"uid":"x","app_key":"TEST","data":[1]}',
    );
  });

  it('publishes to a channel over HTTP and with PUBLISH in Redis', async () => {
    const client = await join(['AA']);
    const form = await api.form('/api/push/TEST/AA/notify', { data: '{"key":"value"}' });
    expect(await client.nextText()).to.equal(form.text);
    const rest = await api.post(`${TEST}/channels/AA/messages`, { event: 'notify', data: 1 });
    expect(await client.nextText()).to.equal(rest.text);
    const raw = '{"channel":"AA","event":"e","data":{}}';
    await redis.command('PUBLISH', 'gusher.cluster.TEST@AA', raw);
    expect(await client.nextText()).to.equal(raw);
  });

  it('publishes to a user and to a socket', async () => {
    const near = await join([], { user: 'bob' });
    const far = await join([], { user: 'bob', at: otherHost });
    await api.post(`${TEST}/users/bob/messages`, { data: { x: 1 } });
    for (const client of [near, far]) expect(await client.nextText()).to.equal('{"x":1}');
    const id = (await far.request('gusher.ping')).socket_id;
    await api.post(`${TEST}/sockets/${id}/messages`, { data: 'txt' });
    expect(await far.nextText()).to.equal('"txt"');
  });

  it('publishes by pattern and in batches', async () => {
    const client = await join(['App-1', 'App-2', 'Box']);
    expect((await api.post(`${TEST}/messages`, { channel_pattern: '^App', event: 'e' })).json.total).to.equal(
      2,
    );
    const batch = [
      { channel: 'Box', event: 'one', data: 'test' },
      { channel: 'Box', event: 'two', data: { username: 'test' } },
    ];
    expect((await api.post(`${TEST}/messages/batch`, batch)).json).to.deep.equal({ total: 2 });
    const events = [];
    for (let n = 0; n < 4; n += 1) events.push((await client.next()).event);
    expect(events.slice().sort()).to.deep.equal(['e', 'e', 'one', 'two']);
    expect(events.indexOf('one')).to.be.lessThan(events.indexOf('two'));
  });

  it('changes the grants of connected users', async () => {
    const client = await join([], { user: 'cid', grants: [], at: otherHost });
    await api.post(`${TEST}/users/cid/channels`, { channel: 'new' });
    expect((await client.next()).event).to.equal('gusher.addchannel');
    await client.subscribe('new');
    await api.request('PUT', `${TEST}/users/cid/channels`, { channels: ['other'] });
    expect((await client.next()).event).to.equal('gusher.reloadchannel');
    await api.post(`${TEST}/channels/new/messages`, { event: 'lost' });
    expect((await client.request('gusher.querychannel')).data.channels).to.deep.equal(['other']);
  });

  it('lists and counts channels and users of all hosts', async () => {
    await join(['p-1', 'p-2'], { app: 'P' });
    await join(['p-1'], { app: 'P', user: 'bob', at: otherHost });
    const answers = async (): Promise<unknown[]> => {
      const paths = [
        '/channels',
        '/channels/count',
        '/users',
        '/users/count',
        '/channels/p-1/users',
        '/channels/p-2/users/count',
      ];
      return Promise.all(paths.map(async (path) => (await otherApi.get(`/v1/apps/P${path}`)).json));
    };
    const expected = JSON.stringify([
      ['p-1', 'p-2'],
      { count: 2 },
      ['ann', 'bob'],
      { count: 2 },
      ['ann', 'bob'],
      { count: 1 },
    ]);
    await eventually(async () => JSON.stringify(await answers()) === expected, 'the other host knows all');
  });

  it('returns statistics of all apps', async () => {
    await join([], { app: 'S' });
    await eventually(async () => {
      const { json } = await otherApi.get('/v1/apps');
      return json.some(
        (row: { app: string; connections: number }) => row.app === 'S' && row.connections === 1,
      );
    }, 'the app is counted at the other host');
    const { json } = await api.get('/v1/stats');
    expect(Object.keys(json)).to.deep.equal(['apps', 'connections', 'users']);
  });

  it('returns health and version', async () => {
    for (const path of ['/healthz', '/readyz', '/version', '/ping'])
      expect((await api.get(path)).status).to.equal(200);
  });

  it('delivers publications of one host on the other in order', async () => {
    const client = await join(['bus'], { at: otherHost });
    for (let n = 0; n < 50; n += 1) await api.post(`${TEST}/channels/bus/messages`, { event: 'e', data: n });
    for (let n = 0; n < 50; n += 1) expect((await client.next()).data).to.equal(n);
  });

  it('delivers publications of one worker to clients of every worker', async () => {
    const crowd = await Promise.all(Array.from({ length: 16 }, () => join(['crowd'])));
    await api.post(`${TEST}/channels/crowd/messages`, { event: 'to-all' });
    for (const client of crowd) expect((await client.next()).event).to.equal('to-all');
    const [worker = 0] = host.workerPids;
    process.kill(worker, 'SIGKILL');
    await within(Promise.race(crowd.map((client) => client.closed)), 'the end of that worker');
    // Uses the other host: this host's kept-alive connection may belong to that worker.
    await otherApi.post(`${TEST}/channels/crowd/messages`, { event: 'to-the-others' });
    const fates = await Promise.all(crowd.map((client) => Promise.race([nextEvent(client), cutOff(client)])));
    expect(new Set(fates)).to.have.keys(['to-the-others', 'cut off']);
  });

  it('isolates apps: no publication, pattern or change of grants affects another app', async () => {
    const client = await join(['same'], { app: 'ONE' });
    const others = await join(['same'], { app: 'TWO' });
    const id = (await others.request('gusher.ping')).socket_id;
    await api.post('/v1/apps/ONE/channels/same/messages', { event: 'e' });
    await api.post('/v1/apps/ONE/messages', { channel_pattern: '.*', event: 'e' });
    await api.post('/v1/apps/ONE/users/ann/messages', { event: 'e', data: 1 });
    await api.post(`/v1/apps/ONE/sockets/${id}/messages`, { event: 'e', data: 1 });
    await api.request('PUT', '/v1/apps/ONE/users/ann/channels', { channels: ['none'] });
    await api.post('/v1/apps/TWO/users/ann/messages', { event: 'marker', data: 1 });
    expect((await others.next()).event).to.equal('marker');
    expect((await others.request('gusher.querychannel')).data.channels).to.deep.equal(['*']);
    for (const event of ['e', 'e', 'e', 'gusher.reloadchannel'])
      expect((await client.next()).event).to.equal(event);
    expect((await api.get('/v1/apps/ONE/channels/same/users')).json).to.deep.equal([]);
  });

  it('works with gusher-js and its trigger()', async () => {
    await api.request('PUT', '/v1/admin/apps/CHAT', { channels: ['*'], client_events: true });
    const other = await connectClient(otherHost.clientUrl('CHAT'));
    clients.push(other);
    await other.subscribe('room');
    const library = loadGusherJs();
    try {
      const url = host.clientUrl('CHAT');
      const client = library.create('CHAT', { url, token: await sign({ app_key: 'CHAT' }) });
      const channel = client.subscribe('room') as unknown as { trigger(event: string, data: unknown): void };
      await within(
        becomes(client, 'gusher.multi_subscribe_succeeded', () => client.connect()),
        'gusher-js subscribes',
      );
      channel.trigger('client-typing', { who: 'ann' });
      expect(await other.next()).to.deep.equal({
        channel: 'room',
        event: 'client-typing',
        data: { who: 'ann' },
      });
      // gusher-js needs the browser globals until it has disconnected.
      await within(
        becomes(client, 'closed', () => client.disconnect()),
        'the end of gusher-js',
      );
    } finally {
      library.unload();
    }
  });

  it('reconnects to Redis after an outage, and keeps its clients', async () => {
    const client = await join(['bus'], { at: otherHost });
    const isReady = async (each: Api) => (await each.get('/readyz')).status === 200;
    await redis.kill();
    await eventually(async () => !(await isReady(api)) && !(await isReady(otherApi)), 'the loss is noticed');
    await redis.restart();
    await eventually(
      async () => (await isReady(api)) && (await isReady(otherApi)),
      'both hosts are ready again',
    );
    expect((await api.post(`${TEST}/channels/bus/messages`, { event: 'again' })).status).to.equal(200);
    expect((await client.next()).event).to.equal('again');
  });

  it('rejects API requests without the token', async () => {
    const token = 'a-token-of-sixteen-characters-or-more';
    const guarded = await startGusher({ workers: 1, env: { GUSHER_API_TOKEN: token } });
    try {
      const [anonymous, authenticated] = [new Api(() => guarded.api), new Api(() => guarded.api, token)];
      for (const path of ['/v1/stats', '/v1/apps/demo/users', '/demo/online', '/v1/admin/apps']) {
        expect((await anonymous.get(path)).status, path).to.equal(401);
        expect((await authenticated.get(path)).status, path).to.equal(200);
      }
    } finally {
      await guarded.stop();
    }
  });

  it('closes clients with a close code at a graceful shutdown', async () => {
    const client = await join(['bus'], { at: otherHost });
    otherHost.process.kill('SIGTERM');
    expect((await within(client.closed, 'the close frame')).code).to.equal(4200);
    expect(await otherHost.end()).to.equal(0);
  });
});

const nextEvent = async (client: Client): Promise<string> => (await client.next()).event;

const cutOff = (client: Client): Promise<string> => client.closed.then(() => 'cut off');

/** Runs an action and waits for an event of gusher-js. */
function becomes(client: GusherJs, event: string, act: () => void): Promise<void> {
  return new Promise((resolve) => {
    client.bind(event, () => resolve());
    act();
  });
}
