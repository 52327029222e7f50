import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { PUSHER_APP, pusherSdk } from '../support/pusher-app.ts';
import { connectPusher, type PusherClient } from '../support/pusher-client.ts';
import { RedisServer } from '../support/redis-server.ts';

const { key, id, secret } = PUSHER_APP;

/** Two hosts with one Redis are one server to Pusher clients. */
describe('Pusher clients of two hosts', () => {
  let redis: RedisServer;
  let hosts: [RunningGusher, RunningGusher];
  const clients: PusherClient[] = [];

  before(async () => {
    redis = await RedisServer.start();
    // By hand, as its documents say; it is an app at once.
    await redis.command('HSET', key, 'id', id, 'secret', secret, 'client_events', 'true');
    const start = (): Promise<RunningGusher> => startGusher({ workers: 1, redisUrl: redis.url });
    hosts = await Promise.all([start(), start()]);
  });

  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.terminate();
  });

  after(async () => {
    await Promise.all(hosts.map((host) => host.stop()));
    await redis.stop();
  });

  async function connect(host: RunningGusher): Promise<PusherClient> {
    const client = await connectPusher(`${host.url}/app/${key}`, PUSHER_APP);
    clients.push(client);
    return client;
  }

  it('hear the same, but for the socket that is left out', async () => {
    const [one, two] = [await connect(hosts[0]), await connect(hosts[1])];
    for (const client of [one, two]) await client.subscribe('private-c');
    const sdk = pusherSdk(hosts[1].url);
    await sdk.trigger('private-c', 'e', 'no JSON', { socket_id: one.socketId });
    await sdk.trigger('private-c', 'last', { n: 1 });
    expect((await two.until('e', 'private-c')).data).to.equal('no JSON');
    expect((await one.next()).event).to.equal('last');
    await two.until('last', 'private-c');
    one.send('client-hi', { n: 2 }, 'private-c');
    expect((await two.until('client-hi', 'private-c')).data).to.deep.equal({ n: 2 });
  });

  it('find the same in a cache channel', async () => {
    await pusherSdk(hosts[0].url).trigger('cache-c', 'e', { n: 1 });
    const client = await connect(hosts[1]);
    await client.subscribe('cache-c');
    expect((await client.expect('e', 'cache-c')).data).to.equal('{"n":1}');
  });

  it('are present to each other, and gone when their worker is killed', async () => {
    const room = 'presence-hosts';
    const [one, two] = [await connect(hosts[0]), await connect(hosts[1])];
    await one.subscribe(room, { user_id: '1', user_info: { host: 'one' } });
    await eventually(async () => (await usersOf(hosts[1], room)).length === 1, 'the other host knows');
    const { presence } = await two.subscribe(room, { user_id: '2' });
    expect(presence).to.deep.equal({ ids: ['1', '2'], hash: { 1: { host: 'one' }, 2: null }, count: 2 });
    const added = await one.until('pusher_internal:member_added', room);
    expect(JSON.parse(added.data)).to.deep.equal({ user_id: '2' });

    const [victim] = hosts[1].workerPids as [number];
    process.kill(victim, 'SIGKILL');
    const removed = await one.until('pusher_internal:member_removed', room);
    expect(JSON.parse(removed.data)).to.deep.equal({ user_id: '2' });
  });

  async function usersOf(host: RunningGusher, room: string): Promise<unknown[]> {
    const response = await pusherSdk(host.url).get({ path: `/channels/${room}/users` });
    return ((await response.json()) as { users: unknown[] }).users;
  }
});
