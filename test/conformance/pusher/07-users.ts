import { expect } from 'chai';
import { userAuth } from '../../support/pusher-client.ts';
import { Clients, conformanceTarget, fresh, trigger } from './target.ts';

describe('Pusher §7: users', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  it('sign in, and get their data as the unchanged string', async () => {
    const app = await conformanceTarget();
    const client = await clients.connect();
    const userData = ' {"id":"ü 1", "user_info" : {"a":1.0}} ';
    client.send('pusher:signin', { auth: userAuth(app, client.socketId, userData), user_data: userData });
    expect(await client.expectData('pusher:signin_success')).to.deep.equal({ user_data: userData });
  });

  it('can sign in again as the same user', async () => {
    const client = await clients.connect();
    const id = fresh('u');
    await client.signIn({ id });
    await client.signIn({ id });
  });

  const failures: [what: string, userData: string, secret?: string][] = [
    ['a wrong signature', '{"id":"1"}', 'wrong'],
    ['an id that is a number', '{"id":1}'],
    ['an empty id', '{"id":""}'],
    ['no id', '{}'],
    ['no JSON', 'nonsense'],
  ];
  for (const [what, userData, secret] of failures) {
    it(`get an error for ${what}, and can sign in again on the same connection`, async () => {
      const app = await conformanceTarget();
      const client = await clients.connect();
      const auth = userAuth({ ...app, ...(secret !== undefined && { secret }) }, client.socketId, userData);
      client.send('pusher:signin', { auth, user_data: userData });
      expect((await client.expect('pusher:error')).data.code).to.equal(4009);
      await client.signIn({ id: fresh('u') });
    });
  }

  it('cannot sign in as another user on the same connection', async () => {
    const app = await conformanceTarget();
    const client = await clients.connect();
    await client.signIn({ id: fresh('u') });
    const userData = JSON.stringify({ id: fresh('other') });
    client.send('pusher:signin', { auth: userAuth(app, client.socketId, userData), user_data: userData });
    expect((await client.until('pusher:error')).data.code).to.equal(4009);
    await client.settle();
  });

  it('have their own channel, which other users cannot subscribe to', async () => {
    const [one, other] = [await clients.connect(), await clients.connect()];
    const id = fresh('u');
    const channel = `#server-to-user-${id}`;
    for (const client of [one, other]) {
      client.send('pusher:subscribe', { channel, auth: '' });
      await client.expect('pusher:subscription_error', channel);
    }
    await one.signIn({ id });
    await other.signIn({ id: `${id}x` });
    await one.subscribe(channel);
    other.send('pusher:subscribe', { channel, auth: '' });
    await other.expect('pusher:subscription_error', channel);
    expect((await trigger(channel, 'for you', 'x')).status).to.equal(200);
    expect((await one.until('for you', channel)).data).to.equal('x');
  });

  it('join presence channels as the signed-in user, without channel_data', async () => {
    const client = await clients.connect();
    const id = fresh('u');
    await client.signIn({ id, user_info: { n: 1 } });
    const channel = fresh('presence-');
    client.sendSubscribe(channel);
    const { data } = await client.until('pusher_internal:subscription_succeeded', channel);
    expect(JSON.parse(data).presence).to.deep.equal({ ids: [id], hash: { [id]: { n: 1 } }, count: 1 });
  });

  it('receive which users of their watchlist are online, at first and on every change', async () => {
    const [one, two, again] = [await clients.connect(), await clients.connect(), await clients.connect()];
    const [here, away] = [fresh('here'), fresh('away')];
    await two.signIn({ id: here });
    await one.signIn({ id: fresh('u'), watchlist: [here, away] });
    const first = await one.until('pusher_internal:watchlist_events');
    expect(Object.keys(first)).to.deep.equal(['event', 'data']);
    expect(JSON.parse(first.data).events).to.have.deep.members([
      { name: 'online', user_ids: [here] },
      { name: 'offline', user_ids: [away] },
    ]);
    await again.signIn({ id: away });
    expect((await one.expectData('pusher_internal:watchlist_events')).events).to.deep.equal([
      { name: 'online', user_ids: [away] },
    ]);
    await two.close();
    expect((await one.expectData('pusher_internal:watchlist_events')).events).to.deep.equal([
      { name: 'offline', user_ids: [here] },
    ]);
  });

  it('can watch 100 users; beyond that they get error 4302 and watch the first 100', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const watchlist = Array.from({ length: 101 }, (_, n) => fresh(`w${n}-`));
    await one.signIn({ id: fresh('u'), watchlist });
    expect((await one.until('pusher:error')).data.code).to.equal(4302);
    const { events } = await one.expectData('pusher_internal:watchlist_events');
    expect(events).to.deep.equal([{ name: 'offline', user_ids: watchlist.slice(0, 100) }]);
    await two.signIn({ id: watchlist[99] });
    expect((await one.expectData('pusher_internal:watchlist_events')).events).to.deep.equal([
      { name: 'online', user_ids: [watchlist[99]] },
    ]);
  });
});
