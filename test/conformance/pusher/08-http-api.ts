import { expect } from 'chai';
import { signedTarget } from '../../support/pusher-app.ts';
import { type Answer, Clients, conformanceTarget, fresh, request, type Target, trigger } from './target.ts';

describe('Pusher §9: signatures of the HTTP API', () => {
  let target: Target;

  before(async () => {
    target = await conformanceTarget();
  });

  async function statusOf(method: string, signed: string, body?: string): Promise<number> {
    const response = await fetch(target.httpUrl + signed, { method, ...(body !== undefined && { body }) });
    await response.arrayBuffer();
    return response.status;
  }

  function sign(more: Parameters<typeof signedTarget>[3] = {}, body = ''): string {
    const { key, secret, id } = target;
    return signedTarget(
      body === '' ? 'GET' : 'POST',
      `/apps/${id}/${body === '' ? 'channels' : 'events'}`,
      body,
      {
        key,
        secret,
        ...more,
      },
    );
  }

  const now = (): number => Math.floor(Date.now() / 1_000);

  it('are accepted within 600 seconds, and not later', async () => {
    for (const away of [0, -590, 590])
      expect(await statusOf('GET', sign({ timestamp: now() + away }))).to.equal(200);
    for (const away of [-620, 620])
      expect(await statusOf('GET', sign({ timestamp: now() + away }))).to.equal(401);
  });

  it('are rejected if any signed part has changed', async () => {
    const good = sign();
    expect(await statusOf('GET', good)).to.equal(200);
    expect(await statusOf('GET', `${good}&filter_by_prefix=x`)).to.equal(401);
    expect(
      await statusOf(
        'GET',
        good.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
      ),
    ).to.equal(401);
    expect(await statusOf('GET', good.replace(/auth_signature=.*/, 'auth_signature='))).to.equal(401);
    expect(await statusOf('GET', sign({ secret: 'wrong' }))).to.equal(401);
    expect(await statusOf('GET', sign({ key: 'wrong' }))).to.equal(401);
  });

  it('cover the bytes of the body by their MD5', async () => {
    const body = JSON.stringify({ name: 'e', channel: fresh(), data: 'ü' });
    expect(await statusOf('POST', sign({}, body), body)).to.equal(200);
    expect(await statusOf('POST', sign({}, body), `${body} `)).to.equal(401);
    expect(await statusOf('POST', sign({}, body), '')).to.equal(401);
  });

  it('cover decoded values', async () => {
    expect(await statusOf('GET', sign({ query: { filter_by_prefix: 'a b+c/ü' } }))).to.equal(200);
  });

  it('belong to the app in the path: 404 for an unknown app', async () => {
    const { key, secret } = target;
    expect(
      await statusOf('GET', signedTarget('GET', '/apps/987654321/channels', '', { key, secret })),
    ).to.equal(404);
  });
});

describe('Pusher §10 and §11: endpoints and limits', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  const event = (more: object): Promise<Answer> =>
    request('POST', '/events', { body: { name: 'e', channel: 'c', data: '{}', ...more } });

  it('publishes to one or several channels, and returns {}', async () => {
    const client = await clients.connect();
    const [a, b] = [fresh(), fresh()];
    for (const channel of [a, b]) await client.subscribe(channel);
    expect(await event({ channel: a })).to.deep.equal({ status: 200, json: {} });
    expect(await event({ channel: undefined, channels: [a, b] })).to.deep.equal({ status: 200, json: {} });
    await client.until('e', a);
    await client.until('e', a);
    await client.until('e', b);
  });

  it('returns the requested attributes of channels', async () => {
    const client = await clients.connect();
    const [a, b] = [fresh('presence-'), fresh()];
    await client.subscribe(a, { user_id: '1' });
    const { json } = await event({
      channel: undefined,
      channels: [a, b],
      info: 'subscription_count,user_count',
    });
    expect(json).to.deep.equal({
      channels: { [a]: { subscription_count: 1, user_count: 1 }, [b]: { subscription_count: 0 } },
    });
  });

  it('publishes batches in order, and returns a list if attributes are requested', async () => {
    const client = await clients.connect();
    const channel = fresh();
    await client.subscribe(channel);
    const batch = [
      { name: 'one', channel, data: '1', info: 'subscription_count' },
      { name: 'two', channel, data: '2' },
    ];
    expect((await request('POST', '/batch_events', { body: { batch } })).json).to.deep.equal({
      batch: [{ subscription_count: 1 }, {}],
    });
    await client.until('one', channel);
    await client.until('two', channel);
    const plain = batch.map(({ info: _, ...rest }) => rest);
    expect((await request('POST', '/batch_events', { body: { batch: plain } })).json).to.deep.equal({});
  });

  it('lists occupied channels by prefix', async () => {
    const client = await clients.connect();
    const name = fresh();
    await client.subscribe(`presence-${name}`, { user_id: '1' });
    await client.subscribe(name);
    const query = { filter_by_prefix: `presence-${name}`, info: 'user_count' };
    expect((await request('GET', '/channels', { query })).json).to.deep.equal({
      channels: { [`presence-${name}`]: { user_count: 1 } },
    });
    const { json } = await request('GET', '/channels', { query: { filter_by_prefix: name } });
    expect(json).to.deep.equal({ channels: { [name]: {} } });
    expect((await request('GET', '/channels', { query: { info: 'user_count' } })).status).to.equal(400);
  });

  it('rejects user_count of other channels than presence channels, and returns null for an empty cache', async () => {
    for (const kind of ['', 'private-', 'cache-', 'private-encrypted-']) {
      const path = `/channels/${fresh(kind)}`;
      const { status } = await request('GET', path, { query: { info: 'subscription_count,user_count' } });
      expect(status, kind).to.equal(400);
      expect((await request('GET', path, { query: { info: 'subscription_count' } })).status).to.equal(200);
    }
    for (const kind of ['cache-', 'private-cache-', 'presence-cache-']) {
      const { json } = await request('GET', `/channels/${fresh(kind)}`, { query: { info: 'cache' } });
      expect(json, kind).to.deep.equal({ occupied: false, cache: null });
    }
    const { json } = await request('GET', `/channels/${fresh('plain')}`, { query: { info: 'cache' } });
    expect(json).to.deep.equal({ occupied: false });
  });

  it('returns the state, the users and the cache of one channel', async () => {
    const client = await clients.connect();
    const channel = fresh('presence-cache-');
    const info = { info: 'user_count,subscription_count,cache' };
    expect((await request('GET', `/channels/${channel}`, { query: info })).json).to.include({
      occupied: false,
    });
    await client.subscribe(channel, { user_id: 'ü' });
    await trigger(channel, 'e', '{"n": 1}');
    await client.until('e', channel);
    const { json } = await request('GET', `/channels/${channel}`, { query: info });
    expect(json).to.deep.include({ occupied: true, user_count: 1, subscription_count: 1 });
    expect(json.cache.data).to.equal('{"n": 1}');
    expect(json.cache.ttl).to.be.within(1, 3_600);
    expect((await request('GET', `/channels/${channel}/users`)).json).to.deep.equal({ users: [{ id: 'ü' }] });
    expect((await request('GET', `/channels/${fresh()}/users`)).status).to.equal(400);
  });

  const wrong: [what: string, more: object, status: number][] = [
    ['no name', { name: undefined }, 400],
    ['no data', { data: undefined }, 400],
    ['no channel', { channel: undefined }, 400],
    ['a name beyond 200 characters', { name: 'x'.repeat(201) }, 400],
    ['a channel beyond 200 characters', { channel: 'x'.repeat(201) }, 400],
    ['a channel with forbidden characters', { channel: 'a b' }, 400],
    [
      'more than 100 channels',
      { channel: undefined, channels: Array.from({ length: 101 }, (_, n) => `c${n}`) },
      400,
    ],
    ['an invalid socket id', { socket_id: 'nonsense' }, 400],
  ];
  for (const [what, more, status] of wrong) {
    it(`rejects an event with ${what}`, async () => {
      expect((await event(more)).status).to.equal(status);
    });
  }

  it('accepts data of 10 KB, and rejects much larger data with 413', async () => {
    expect((await event({ data: 'x'.repeat(10_000) })).status).to.equal(200);
    expect((await event({ data: 'x'.repeat(200_000) })).status).to.equal(413);
  });

  it('rejects more than 10 events in a batch', async () => {
    const batch = Array.from({ length: 11 }, () => ({ name: 'e', channel: 'c', data: '1' }));
    expect((await request('POST', '/batch_events', { body: { batch } })).status).to.equal(400);
  });
});
