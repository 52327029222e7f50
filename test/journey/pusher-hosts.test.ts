import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { PUSHER_APP, pusherSdk } from '../support/pusher-app.ts';
import { eventOf, optionsFor, PusherJs, present, subscribed } from '../support/pusher-js.ts';
import { RedisServer } from '../support/redis-server.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

describe('the Pusher protocol over two hosts', () => {
  const receiver = new WebhookReceiver();
  const clients: PusherJs[] = [];
  let redis: RedisServer;
  let hosts: RunningGusher[];

  before(async () => {
    await receiver.open();
    redis = await RedisServer.start();
    // As a person would type it.
    const { key, id, secret } = PUSHER_APP;
    const fields = ['id', id, 'secret', secret, 'client_events', 'true', 'webhook_url', receiver.url];
    await redis.command('HSET', key, ...fields);
    const env = { GUSHER_WEBHOOK_ALLOW_PRIVATE: 'true', GUSHER_WEBHOOK_GRACE_MS: '1000' };
    const options = { workers: 2, redisUrl: redis.url, env };
    hosts = await Promise.all([startGusher(options), startGusher(options)]);
  });

  after(async () => {
    for (const client of clients) client.disconnect();
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

  it('leaves out the one connection that an event came from, wherever it is', async () => {
    const [one, two] = hosts;
    const all = [
      await connect(one, 'a'),
      await connect(one, 'b'),
      await connect(two, 'c'),
      await connect(two, 'd'),
    ];
    const heard: string[][] = all.map(() => []);
    for (const [index, client] of all.entries()) {
      const channel = await subscribed(client.subscribe('private-shared'));
      channel.bind_global((event: string, data: string) => {
        if (!event.startsWith('pusher:')) heard[index]?.push(data);
      });
    }
    for (const [index, client] of all.entries()) {
      for (const host of hosts) {
        const params = { socket_id: client.connection.socket_id };
        await pusherSdk(host.api).trigger('private-shared', 'e', String(index), params);
      }
    }
    await pusherSdk(hosts[0]?.api ?? '').trigger('private-shared', 'e', 'end');
    await eventually(() => heard.every((data) => data.includes('end')), 'everybody hears the end');
    // What was sent by the one host may pass what was sent by the other.
    await eventually(() => heard.every(({ length }) => length >= 7), 'everybody hears what others sent');
    for (const [index, data] of heard.entries()) {
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

  it('knows of all hosts who is there, and tells it to the webhook once', async () => {
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
    await receiver.told(channel, 3);
    here.disconnect();
    other.disconnect();
    await receiver.told(channel, 4, 15_000);
    there.disconnect();
    await receiver.told(channel, 6, 15_000);
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

  it('tells the webhook what a client sent, and which cache is empty', async () => {
    const [one, two] = hosts;
    const channel = 'presence-talk';
    const [ann, bea] = [await connect(one, 'ann'), await connect(two, 'bea')];
    const [talk, ears] = [await present(ann, channel), await present(bea, channel)];
    const heard = eventOf(ears, 'client-hello');
    talk.trigger('client-hello', { text: 'hä' });
    expect(await heard).to.deep.equal({ text: 'hä' });
    const isClientEvent = ({ name }: { name: string }): boolean => name === 'client_event';
    await eventually(() => receiver.of(channel).some(isClientEvent), 'the client event is told');
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
      'the miss is told',
    );
  });

  it('tells what a cache channel keeps', async () => {
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
    expect(await none.json()).to.deep.equal({ occupied: false });
  });

  it('ends the connections of a user on every host', async () => {
    const gone = await Promise.all(hosts.map((host) => connect(host, 'zoe')));
    for (const client of gone) client.signin();
    await eventually(() => gone.every(({ user }) => user.user_data?.id === 'zoe'), 'they are signed in');
    await pusherSdk(hosts[0]?.api ?? '').terminateUserConnections('zoe');
    await eventually(
      () => gone.every(({ connection }) => connection.state === 'disconnected'),
      'all are ended',
    );
  });

  it('tells of who was on a host that has stopped', async () => {
    const channel = 'presence-stopped';
    const [one, two] = [await connect(hosts[0], 'stays'), await connect(hosts[1], 'goes')];
    await present(one, channel);
    await present(two, channel);
    await receiver.told(channel, 3);
    const stopped = hosts.pop();
    await stopped?.stop();
    await receiver.told(channel, 4, 20_000);
    expect(receiver.of(channel).at(-1)).to.deep.equal({ name: 'member_removed', channel, user_id: 'goes' });
  });
});
