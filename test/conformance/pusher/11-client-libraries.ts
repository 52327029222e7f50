import { expect } from 'chai';
import Echo from 'laravel-echo';
import { eventually } from '../../support/deadline.ts';
import { eventOf, optionsFor, PusherJs, present, subscribed } from '../../support/pusher-js.ts';
import { conformanceTarget, fresh, request, type Target, trigger } from './target.ts';

describe('Pusher: existing clients, unmodified', () => {
  const open: PusherJs[] = [];
  let target: Target;

  before(async () => {
    target = await conformanceTarget();
  });
  afterEach(() => {
    for (const client of open.splice(0)) client.disconnect();
  });

  async function connect(user?: { id: string; info?: object; watchlist?: string[] }): Promise<PusherJs> {
    const client = new PusherJs(target.key, optionsFor(target, user));
    open.push(client);
    await eventually(() => client.connection.state === 'connected', 'pusher-js is connected');
    return client;
  }

  describe('pusher-js', () => {
    it('receives events as the published objects', async () => {
      const client = await connect();
      const channel = await subscribed(client.subscribe(fresh()));
      const received = eventOf(channel, 'my-event');
      await trigger(channel.name, 'my-event', { a: ['ü', 1] });
      expect(await received).to.deep.equal({ a: ['ü', 1] });
    });

    it('lists the members and itself, and receives joins and leaves', async () => {
      const name = fresh('presence-');
      const [one, two] = [
        await connect({ id: '1', info: { n: 1 } }),
        await connect({ id: '2', info: { n: 2 } }),
      ];
      const channel = await present(one, name);
      expect(channel.members.count).to.equal(1);
      expect(channel.members.me).to.deep.equal({ id: '1', info: { n: 1 } });
      const [added, removed] = [
        eventOf(channel, 'pusher:member_added'),
        eventOf(channel, 'pusher:member_removed'),
      ];
      const otherChannel = await present(two, name);
      expect(await added).to.deep.equal({ id: '2', info: { n: 2 } });
      expect(otherChannel.members.members).to.deep.equal({ 1: { n: 1 }, 2: { n: 2 } });
      two.disconnect();
      expect(await removed).to.deep.equal({ id: '2', info: { n: 2 } });
      expect(channel.members.count).to.equal(1);
    });

    it('triggers client events with the id of the sender', async () => {
      const name = fresh('presence-');
      const [one, two] = [await connect({ id: '1' }), await connect({ id: '2' })];
      const [channel, otherChannel] = [await present(one, name), await present(two, name)];
      const received = new Promise((resolve) => {
        otherChannel.bind('client-hi', (data: unknown, metadata: unknown) => resolve([data, metadata]));
      });
      channel.trigger('client-hi', { n: 1 });
      expect(await received).to.deep.equal([{ n: 1 }, { user_id: '1' }]);
    });

    it('decrypts events that the SDK has encrypted', async () => {
      const client = await connect();
      const channel = await subscribed(client.subscribe(fresh('private-encrypted-')));
      const received = eventOf(channel, 'secret');
      const { pusherSdk } = await import('../../support/pusher-app.ts');
      const master = Buffer.alloc(32, 'a').toString('base64');
      const { id: appId, key, secret } = target;
      const sdk = pusherSdk(target.httpUrl, { appId, key, secret, encryptionMasterKeyBase64: master });
      await sdk.trigger(channel.name, 'secret', { word: 'ü' });
      expect(await received).to.deep.equal({ word: 'ü' });
    });

    it('receives the last event of a cache channel, or the cache miss', async () => {
      const client = await connect();
      const channel = client.subscribe(fresh('cache-'));
      await eventOf(channel, 'pusher:cache_miss');
      await trigger(channel.name, 'e', { n: 1 });
      const other = (await connect()).subscribe(channel.name);
      expect(await eventOf(other, 'e')).to.deep.equal({ n: 1 });
    });

    it('counts subscriptions', async () => {
      const client = await connect();
      const channel = client.subscribe(fresh());
      expect(await eventOf(channel, 'pusher:subscription_count')).to.deep.equal({ subscription_count: 1 });
      expect(channel.subscriptionCount).to.equal(1);
    });

    it('reports why a subscription failed', async () => {
      const client = new PusherJs(target.key, {
        ...optionsFor(target),
        channelAuthorization: { customHandler: (_request, done) => done(null, { auth: 'nonsense' }) },
      });
      open.push(client);
      const error = await eventOf(client.subscribe(fresh('private-')), 'pusher:subscription_error');
      expect(error).to.include({ type: 'AuthError', status: 401 });
    });

    it('signs in, receives messages to the user, and watches others', async () => {
      const [id, other] = [fresh('u'), fresh('o')];
      const client = await connect({ id, watchlist: [other] });
      const offline = eventOf(client.user.watchlist, 'offline');
      client.signin();
      expect(await offline).to.deep.equal({ name: 'offline', user_ids: [other] });
      expect(client.user.user_data?.id).to.equal(id);
      const online = eventOf(client.user.watchlist, 'online');
      (await connect({ id: other })).signin();
      expect(await online).to.deep.equal({ name: 'online', user_ids: [other] });
      const received = eventOf(client.user, 'for-you');
      await eventually(async () => {
        const { json } = await request('GET', `/channels/${encodeURIComponent(`#server-to-user-${id}`)}`);
        return json.occupied === true;
      }, 'the user has its channel');
      await trigger(`#server-to-user-${id}`, 'for-you', { n: 1 });
      expect(await received).to.deep.equal({ n: 1 });
    });

    it('stops reconnecting if its user is terminated or the app does not exist', async () => {
      const id = fresh('u');
      const client = await connect({ id });
      const success = eventOf(client, 'pusher:signin_success');
      client.signin();
      await success;
      await request('POST', `/users/${id}/terminate_connections`, { body: {} });
      await eventually(() => client.connection.state === 'disconnected', 'the client stops reconnecting');
      const lost = new PusherJs('no-such-app', optionsFor(target));
      open.push(lost);
      await eventually(() => lost.connection.state === 'disconnected', 'the client stops reconnecting');
    });
  });

  describe('laravel-echo', () => {
    async function echo(user: { id: string; info?: object }): Promise<Echo<'pusher'>> {
      return new Echo({ broadcaster: 'pusher', key: target.key, client: await connect(user) });
    }

    it('listens, whispers and lists members', async () => {
      const [one, two] = [await echo({ id: '1', info: { id: 1 } }), await echo({ id: '2', info: { id: 2 } })];
      const name = fresh();
      const here = new Promise((resolve) => {
        one.join(name).here(resolve);
      });
      expect(await here).to.deep.equal([{ id: 1 }]);
      const joining = new Promise((resolve) => {
        one.join(name).joining(resolve);
      });
      const isIn = new Promise((resolve) => {
        two.join(name).here(resolve);
      });
      await isIn;
      expect(await joining).to.deep.equal({ id: 2 });
      const whisper = new Promise((resolve) => {
        one.join(name).listenForWhisper('typing', resolve);
      });
      two.join(name).whisper('typing', { name: 'two' });
      expect(await whisper).to.deep.equal({ name: 'two' });
    });

    it('excludes the sender by its socket id', async () => {
      const [one, two] = [await echo({ id: '1' }), await echo({ id: '2' })];
      const name = fresh();
      const received: string[] = [];
      const channels = [one.private(name), two.private(name)];
      await Promise.all(
        channels.map(
          (channel) =>
            new Promise<void>((resolve) => {
              channel.subscribed(() => resolve());
            }),
        ),
      );
      one.private(name).listen('.order', () => received.push('one'));
      two.private(name).listen('.order', () => received.push('two'));
      await trigger(`private-${name}`, 'order', {}, { socket_id: one.socketId() });
      await trigger(`private-${name}`, 'order', {});
      await eventually(() => received.length >= 3, 'both clients receive it');
      expect(received.sort()).to.deep.equal(['one', 'two', 'two']);
    });
  });
});
