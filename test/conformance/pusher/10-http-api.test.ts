import { expect } from 'chai';
import { Clients, fresh, request } from './target.ts';

describe('Pusher: the HTTP API', () => {
  const clients = new Clients();

  afterEach(() => clients.closeAll());

  const event = (more: object = {}): object => ({ name: 'e', channel: fresh(), data: '{}', ...more });
  const events = (body: unknown) => request('POST', '/events', { body });
  const batch = (list: unknown[]) => request('POST', '/batch_events', { body: { batch: list } });

  it('answers {} to events and batches', async () => {
    expect(await events(event())).to.deep.equal({ status: 200, json: {} });
    expect(await batch([event(), event()])).to.deep.equal({ status: 200, json: {} });
  });

  it('answers info as an object by channel to events, and as a list in order to a batch', async () => {
    const [channel, other] = [fresh(), fresh()];
    const client = await clients.connect();
    await client.subscribe(channel);
    const info = 'subscription_count';
    expect(
      (await events({ ...event(), channel: undefined, channels: [channel, other], info })).json,
    ).to.deep.equal({
      channels: { [channel]: { subscription_count: 1 }, [other]: { subscription_count: 0 } },
    });
    const { json } = await batch([event({ channel: other }), event({ channel, info })]);
    expect(json).to.deep.equal({ batch: [{}, { subscription_count: 1 }] });
  });

  it('delivers data as it was published, and not to the socket that is left out', async () => {
    const channel = fresh();
    const [one, two] = [await clients.connect(), await clients.connect()];
    await one.subscribe(channel);
    await two.subscribe(channel);
    await events(event({ channel, data: ' { "a" : 1.0 } ', socket_id: one.socketId }));
    await events(event({ channel, data: 'last' }));
    const heard = async (client: typeof one): Promise<unknown[]> => {
      const data: unknown[] = [];
      while (data.at(-1) !== 'last') {
        const message = JSON.parse(await client.nextText()) as { event: string; data: unknown };
        if (message.event === 'e') data.push(message.data);
      }
      return data;
    };
    expect(await heard(one)).to.deep.equal(['last']);
    expect(await heard(two)).to.deep.equal([' { "a" : 1.0 } ', 'last']);
  });

  it('lists occupied channels, with users where only presence channels are asked for', async () => {
    const name = fresh('presence-');
    const client = await clients.connect();
    await client.subscribe(name, { user_id: 'u1' });
    const query = { filter_by_prefix: name, info: 'user_count' };
    expect(await request('GET', '/channels', { query })).to.deep.equal({
      status: 200,
      json: { channels: { [name]: { user_count: 1 } } },
    });
    expect((await request('GET', '/channels', { query: { info: 'user_count' } })).status).to.equal(400);
    expect(
      (await request('GET', '/channels', { query: { filter_by_prefix: fresh() } })).json.channels,
    ).to.deep.equal({});
  });

  it('tells of one channel, and of its users', async () => {
    const name = fresh('presence-');
    const client = await clients.connect();
    await client.subscribe(name, { user_id: 'u1' });
    const query = { info: 'user_count,subscription_count' };
    expect((await request('GET', `/channels/${name}`, { query })).json).to.deep.equal({
      occupied: true,
      user_count: 1,
      subscription_count: 1,
    });
    expect((await request('GET', `/channels/${name}/users`)).json).to.deep.equal({ users: [{ id: 'u1' }] });
    expect((await request('GET', `/channels/${fresh()}/users`)).status).to.equal(400);
    expect((await request('GET', `/channels/${fresh()}`)).json.occupied).to.equal(false);
  });

  it('refuses what is beyond the limits', async () => {
    const channels = Array.from({ length: 101 }, () => fresh());
    expect((await events(event({ channel: undefined, channels }))).status).to.equal(400);
    expect((await events(event({ channel: 'c'.repeat(201) }))).status).to.equal(400);
    expect((await events(event({ channel: 'no spaces' }))).status).to.equal(400);
    expect((await events(event({ name: 'e'.repeat(201) }))).status).to.equal(400);
    expect((await events(event({ data: 'x'.repeat(200_000) }))).status).to.equal(413);
    expect((await batch(Array.from({ length: 11 }, () => event()))).status).to.equal(400);
  });

  it('refuses what has not the form of an event, and goes on', async () => {
    for (const body of [
      [],
      {},
      { name: 'e' },
      event({ name: 1 }),
      event({ channel: [] }),
      event({ socket_id: 'x' }),
    ]) {
      expect((await events(body)).status, JSON.stringify(body)).to.equal(400);
    }
    expect((await request('POST', '/batch_events', { body: {} })).status).to.equal(400);
    expect((await request('POST', '/batch_events', { body: { batch: [null] } })).status).to.equal(400);
    expect((await events(event())).status).to.equal(200);
  });
});
