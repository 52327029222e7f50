import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { PUSHER_APP, pusherSdk } from '../support/pusher-app.ts';
import { connectPusher, type PusherClient } from '../support/pusher-client.ts';
import { eventOf, optionsFor, PusherJs, present, subscribed } from '../support/pusher-js.ts';
import { RedisServer } from '../support/redis-server.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

describe('Pusher protocol over two hosts', () => {
  const receiver = new WebhookReceiver();
  const clients: PusherJs[] = [];
  const sockets: PusherClient[] = [];
  let redis: RedisServer;
  let hosts: RunningGusher[];

  before(async () => {
    await receiver.open();
    redis = await RedisServer.start();
    // Registered with redis-cli; the app is valid at once.
    const { key, id, secret } = PUSHER_APP;
    const fields = ['id', id, 'secret', secret, 'client_events', 'true', 'webhook_url', receiver.url];
    await redis.command('HSET', key, ...fields);
    const env = { GUSHER_EVENT_WEBHOOK_ALLOW_PRIVATE: 'true', GUSHER_EVENT_WEBHOOK_GRACE_MS: '1000' };
    const options = { workers: 2, redisUrl: redis.url, env };
    hosts = await Promise.all([startGusher(options), startGusher(options)]);
  });

  afterEach(() => {
    for (const client of clients.splice(0)) client.disconnect();
    for (const { socket } of sockets.splice(0)) socket.terminate();
  });

  after(async () => {
    await Promise.all(hosts.map((host) => host.stop()));
    await redis.stop();
    receiver.close();
  });

  async function connect(host: RunningGusher | undefined, user: string): Promise<PusherJs> {
    const client = new PusherJs(
      PUSHER_APP.key,
      optionsFor({ ...PUSHER_APP, url: host?.url ?? '' }, { id: user }),
    );
    clients.push(client);
    await eventually(() => client.connection.state === 'connected', 'pusher-js is connected');
    return client;
  }

  async function connectSocket(host: RunningGusher | undefined): Promise<PusherClient> {
    const client = await connectPusher(`${host?.url}/app/${PUSHER_APP.key}`, PUSHER_APP);
    sockets.push(client);
    return client;
  }

  it('excludes the socket of the publisher on every host', async () => {
    const [one, two] = hosts;
    const all = [
      await connect(one, 'a'),
      await connect(one, 'b'),
      await connect(two, 'c'),
      await connect(two, 'd'),
    ];
    const received: string[][] = all.map(() => []);
    for (const [index, client] of all.entries()) {
      const channel = await subscribed(client.subscribe('private-shared'));
      channel.bind_global((event: string, data: string) => {
        if (!event.startsWith('pusher:')) received[index]?.push(data);
      });
    }
    for (const [index, client] of all.entries()) {
      for (const host of hosts) {
        const params = { socket_id: client.connection.socket_id };
        await pusherSdk(host.api).trigger('private-shared', 'e', String(index), params);
      }
    }
    await pusherSdk(hosts[0]?.api ?? '').trigger('private-shared', 'e', 'end');
    await eventually(() => received.every((data) => data.includes('end')), 'every client receives the end');
    // Messages of one host may overtake messages of the other.
    await eventually(
      () => received.every(({ length }) => length >= 7),
      'every client receives the messages of the others',
    );
    for (const [index, data] of received.entries()) {
      const others = ['0', '1', '2', '3'].filter((other) => other !== String(index)).map(Number);
      const expected = others.flatMap((other) => [other, other]);
      expect(
        data
          .filter((one) => one !== 'end')
          .sort()
          .map(Number),
        `client ${index}`,
      ).to.deep.equal(expected);
    }
  });

  it('delivers text that is not JSON, and client events, to the other host', async () => {
    const [one, two] = [await connectSocket(hosts[0]), await connectSocket(hosts[1])];
    for (const client of [one, two]) await client.subscribe('private-c');
    const sdk = pusherSdk(hosts[1]?.url ?? '');
    await sdk.trigger('private-c', 'e', 'no JSON', { socket_id: one.socketId });
    await sdk.trigger('private-c', 'last', { n: 1 });
    expect((await two.until('e', 'private-c')).data).to.equal('no JSON');
    expect((await one.next()).event).to.equal('last');
    await two.until('last', 'private-c');
    one.send('client-hi', { n: 2 }, 'private-c');
    expect((await two.until('client-hi', 'private-c')).data).to.deep.equal({ n: 2 });
  });

  it('lists the members of all hosts, and reports them once to the webhook', async () => {
    const [one, two] = hosts;
    const channel = 'presence-everywhere';
    const here = await connect(one, 'ann');
    const there = await connect(two, 'ann');
    const other = await connect(two, 'bea');
    for (const client of [here, there, other]) await present(client, channel);
    const info = 'user_count,subscription_count';
    for (const host of hosts) {
      await eventually(async () => {
        const answer = await pusherSdk(host.api).get({ path: `/channels/${channel}`, params: { info } });
        return (await answer.text()) === '{"occupied":true,"subscription_count":3,"user_count":2}';
      }, 'each host counts all');
    }
    await receiver.received(channel, 3);
    here.disconnect();
    other.disconnect();
    await receiver.received(channel, 4);
    there.disconnect();
    await receiver.received(channel, 6);
    const member = (name: string, user: string) => ({ name, channel, user_id: user });
    expect(receiver.of(channel)).to.have.deep.members([
      { name: 'channel_occupied', channel },
      member('member_added', 'ann'),
      member('member_added', 'bea'),
      member('member_removed', 'bea'),
      member('member_removed', 'ann'),
      { name: 'channel_vacated', channel },
    ]);
  });

  it('reports client events and cache misses to the webhook', async () => {
    const [one, two] = hosts;
    const channel = 'presence-events';
    const [ann, bea] = [await connect(one, 'ann'), await connect(two, 'bea')];
    const [sending, receiving] = [await present(ann, channel), await present(bea, channel)];
    const received = eventOf(receiving, 'client-hello');
    sending.trigger('client-hello', { text: 'hä' });
    expect(await received).to.deep.equal({ text: 'hä' });
    const isClientEvent = ({ name }: { name: string }): boolean => name === 'client_event';
    await eventually(() => receiver.of(channel).some(isClientEvent), 'the client event is reported');
    expect(receiver.of(channel).filter(isClientEvent)).to.deep.equal([
      {
        name: 'client_event',
        channel,
        event: 'client-hello',
        data: '{"text":"hä"}',
        socket_id: ann.connection.socket_id,
        user_id: 'ann',
      },
    ]);
    await eventOf(ann.subscribe('cache-empty'), 'pusher:cache_miss');
    await eventOf(bea.subscribe('cache-empty'), 'pusher:cache_miss');
    await eventually(
      () => receiver.of('cache-empty').some(({ name }) => name === 'cache_miss'),
      'the cache miss is reported',
    );
  });

  it('returns the cached event of a cache channel', async () => {
    const [one, two] = hosts.map((host) => pusherSdk(host.api));
    if (one === undefined || two === undefined) throw new Error('there are not two hosts');
    await one.trigger('cache-kept', 'e', { n: 1 });
    const answer = await two.get({ path: '/channels/cache-kept', params: { info: 'cache' } });
    const { occupied, cache } = (await answer.json()) as {
      occupied: boolean;
      cache: { data: string; ttl: number };
    };
    expect([occupied, cache.data]).to.deep.equal([false, '{"n":1}']);
    expect(cache.ttl).to.be.within(1, 3_600);
    const none = await two.get({ path: '/channels/cache-none', params: { info: 'cache' } });
    expect(await none.json()).to.deep.equal({ occupied: false, cache: null });
    const client = await connectSocket(hosts[1]);
    await client.subscribe('cache-kept');
    expect((await client.expect('e', 'cache-kept')).data).to.equal('{"n":1}');
  });

  it('closes the connections of a user on every host', async () => {
    const terminated = await Promise.all(hosts.map((host) => connect(host, 'zoe')));
    for (const client of terminated) client.signin();
    await eventually(
      () => terminated.every(({ user }) => user.user_data?.id === 'zoe'),
      'the clients are signed in',
    );
    await pusherSdk(hosts[0]?.api ?? '').terminateUserConnections('zoe');
    await eventually(
      () => terminated.every(({ connection }) => connection.state === 'disconnected'),
      'the clients are disconnected',
    );
  });

  it('reports joins to members on the other host, and leaves when their worker is killed', async () => {
    const room = 'presence-killed';
    const [one, two] = [await connectSocket(hosts[0]), await connectSocket(hosts[1])];
    await one.subscribe(room, { user_id: '1', user_info: { host: 'one' } });
    await eventually(async () => {
      const response = await pusherSdk(hosts[1]?.url ?? '').get({ path: `/channels/${room}/users` });
      return ((await response.json()) as { users: unknown[] }).users.length === 1;
    }, 'the other host knows');
    const { presence } = await two.subscribe(room, { user_id: '2' });
    expect(presence).to.deep.equal({ ids: ['1', '2'], hash: { 1: { host: 'one' }, 2: null }, count: 2 });
    const added = await one.until('pusher_internal:member_added', room);
    expect(JSON.parse(added.data)).to.deep.equal({ user_id: '2' });

    const killed = hosts[1]?.workerPids ?? [];
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    const removed = await one.until('pusher_internal:member_removed', room);
    expect(JSON.parse(removed.data)).to.deep.equal({ user_id: '2' });
    await eventually(() => hosts[1]?.workerPids.length === 2 * killed.length, 'the workers are replaced');
  });

  it('reports that the members of a stopped host left', async () => {
    const channel = 'presence-stopped';
    const [one, two] = [await connect(hosts[0], 'stays'), await connect(hosts[1], 'leaves')];
    await present(one, channel);
    await present(two, channel);
    await receiver.received(channel, 3);
    const stopped = hosts.pop();
    await stopped?.stop();
    await receiver.received(channel, 4);
    expect(receiver.of(channel).at(-1)).to.deep.equal({ name: 'member_removed', channel, user_id: 'leaves' });
  });
});
