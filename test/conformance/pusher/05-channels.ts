import { expect } from 'chai';
import { secondsTouchedSince } from '../../support/deadline.ts';
import { Clients, conformanceTarget, fresh, request, trigger } from './target.ts';

const member = (id: unknown, info?: unknown) => ({
  user_id: id,
  ...(info !== undefined && { user_info: info }),
});

describe('Pusher §5: presence', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  it('sends a new subscriber the members, including itself', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh('presence-');
    expect(await one.subscribe(channel, member('1', { name: 'Ü' }))).to.deep.equal({
      presence: { ids: ['1'], hash: { 1: { name: 'Ü' } }, count: 1 },
    });
    const { presence } = await two.subscribe(channel, member('2', { name: 'B' }));
    expect([...presence.ids].sort()).to.deep.equal(['1', '2']);
    expect(presence.hash).to.deep.equal({ 1: { name: 'Ü' }, 2: { name: 'B' } });
    expect(presence.count).to.equal(2);
  });

  it('reports the first connection of a user and the last, only to the others', async () => {
    const [one, two, again] = [await clients.connect(), await clients.connect(), await clients.connect()];
    const channel = fresh('presence-');
    await one.subscribe(channel, member('1'));
    await two.subscribe(channel, member('2', { n: 2 }));
    expect(await one.expectData('pusher_internal:member_added', channel)).to.deep.equal({
      user_id: '2',
      user_info: { n: 2 },
    });
    const { presence } = await again.subscribe(channel, member('2', { n: 2 }));
    expect(presence.count).to.equal(2);
    await two.close();
    // An event for the first connection's leave would arrive before this one.
    await trigger(channel, 'between', 1);
    await one.expect('between', channel);
    again.send('pusher:unsubscribe', { channel });
    expect(await one.expectData('pusher_internal:member_removed', channel)).to.deep.equal({ user_id: '2' });
    expect(two.texts.filter((text) => text.includes('member_'))).to.deep.equal([]);
  });

  it('is correct when many members subscribe at once on all workers', async () => {
    const channel = fresh('presence-');
    const watcher = await clients.connect();
    await watcher.subscribe(channel, member('watcher'));
    const others = await Promise.all(Array.from({ length: 12 }, () => clients.connect()));
    const lists = await Promise.all(
      others.map((client, n) => client.subscribe(channel, member(`u${n % 6}`, { n: n % 6 }))),
    );
    for (const [n, { presence }] of lists.entries()) {
      expect(presence.ids).to.include(`u${n % 6}`);
      expect(presence.ids.length).to.equal(presence.count);
      expect(Object.keys(presence.hash).length).to.equal(presence.count);
    }
    // The members at the subscription plus the later events must give the same set.
    for (const [n, client] of others.entries()) {
      await trigger(channel, `seen by ${n}`, 1);
      const users = new Set<string>(lists[n]?.presence.ids);
      for (;;) {
        const message = await client.next();
        if (message.event === `seen by ${n}`) break;
        if (message.event !== 'pusher_internal:member_added') continue;
        const { user_id: user } = JSON.parse(message.data);
        expect(users.has(user), `${user} reported twice`).to.equal(false);
        users.add(user);
      }
      expect([...users].sort()).to.deep.equal(['u0', 'u1', 'u2', 'u3', 'u4', 'u5', 'watcher']);
    }
    const added: string[] = [];
    while (added.length < 6) {
      added.push((await watcher.expectData('pusher_internal:member_added', channel)).user_id);
    }
    expect(added.sort()).to.deep.equal(['u0', 'u1', 'u2', 'u3', 'u4', 'u5']);
  });

  it('treats a numeric user id as the same string', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh('presence-');
    await one.subscribe(channel, member(10));
    const { presence } = await two.subscribe(channel, member('10'));
    expect(presence.count).to.equal(1);
    expect(presence.ids.map(String)).to.deep.equal(['10']);
  });

  for (const data of [
    '{"user_info":{}}',
    '{"user_id":""}',
    '{"user_id":{}}',
    '{"user_id":null}',
    'nonsense',
    '[]',
  ]) {
    it(`rejects ${data} as a member, even if it is signed`, async () => {
      const client = await clients.connect();
      const channel = fresh('presence-');
      client.sendSubscribe(channel, data);
      await client.expect('pusher:subscription_error', channel);
    });
  }

  it('rejects a subscribe without channel_data', async () => {
    const client = await clients.connect();
    const channel = fresh('presence-');
    client.sendSubscribe(channel);
    await client.expect('pusher:subscription_error', channel);
  });

  it('has a member limit, which counts users and not connections', async function () {
    const { small } = await conformanceTarget();
    if (small === undefined) return this.skip();
    const [one, two] = [await clients.connect(small), await clients.connect(small)];
    const channel = fresh('presence-');
    await one.subscribe(channel, member('1'));
    two.sendSubscribe(channel, JSON.stringify(member('2')));
    expect((await two.until('pusher:subscription_error', channel)).data.error).to.be.a('string');
    await two.subscribe(channel, member('1'));
    expect(one.texts.filter((text) => text.includes('member_'))).to.deep.equal([]);
  });
});

describe('Pusher §5: cache channels', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  for (const prefix of ['cache-', 'private-cache-', 'private-encrypted-cache-']) {
    it(`sends the last event of ${prefix}… right after the success, or a cache miss if none exists`, async () => {
      const [one, two] = [await clients.connect(), await clients.connect()];
      const channel = fresh(prefix);
      one.sendSubscribe(channel);
      await one.expectData('pusher_internal:subscription_succeeded', channel);
      const miss = await one.expect('pusher:cache_miss', channel);
      expect(miss).to.deep.equal({ event: 'pusher:cache_miss', channel, data: '{}' });
      await trigger(channel, 'first', 1);
      await trigger(channel, 'last', '{"n": 2}');
      await one.until('last', channel);
      two.sendSubscribe(channel);
      await two.expectData('pusher_internal:subscription_succeeded', channel);
      expect(await two.expect('last', channel)).to.deep.equal({ event: 'last', channel, data: '{"n": 2}' });
    });
  }

  it('caches on presence channels, and events published without subscribers', async () => {
    const channel = fresh('presence-cache-');
    await trigger(channel, 'e', 'kept');
    const client = await clients.connect();
    await client.subscribe(channel, member('1'));
    expect((await client.expect('e', channel)).data).to.equal('kept');
  });

  it('does not cache client events', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh('private-cache-');
    await one.subscribe(channel);
    await trigger(channel, 'e', 'kept');
    await one.until('e', channel);
    one.send('client-e', { n: 1 }, channel);
    await one.settle();
    await two.subscribe(channel);
    expect((await two.expect('e', channel)).data).to.equal('kept');
  });

  it('never sends an older event after a newer one, nor one twice', async () => {
    const channel = fresh('cache-');
    const seen: Promise<void>[] = [];
    for (let n = 0; n < 20; n += 1) {
      const client = await clients.connect();
      // Awaited before the next one: the order of concurrent publications is not defined.
      const published = trigger(channel, 'n', n);
      await client.subscribe(channel);
      await published;
      const numbers = (): number[] =>
        client.texts
          .map((text) => JSON.parse(text))
          .flatMap((m) => (m.event === 'n' ? [Number(m.data)] : []));
      seen.push(
        (async () => {
          await client.until('end', channel);
          expect(numbers()).to.deep.equal([...new Set(numbers())].sort((a, b) => a - b));
        })(),
      );
    }
    await trigger(channel, 'end', 1);
    await Promise.all(seen);
  });
});

describe('Pusher §5: subscription counts', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  it('sends the count to every subscriber, except on presence channels', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh();
    await one.subscribe(channel);
    const until = async (count: number): Promise<void> => {
      let received = Number.NaN;
      while (received !== count) {
        const { data } = await one.until('pusher_internal:subscription_count', channel);
        received = JSON.parse(data).subscription_count;
      }
    };
    await until(1);
    await two.subscribe(channel);
    await until(2);
    await two.close();
    await until(1);
  });

  it('sends no count on presence channels', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh('presence-');
    await one.subscribe(channel, member('1'));
    await two.subscribe(channel, member('2'));
    await one.until('pusher_internal:member_added', channel);
    await two.close();
    await one.until('pusher_internal:member_removed', channel);
    expect(one.texts.filter((text) => text.includes('subscription_count'))).to.deep.equal([]);
  });
});

describe('Pusher §5: client events', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  it('reach the other subscribers of a private channel with unchanged data, not the sender', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh('private-');
    for (const client of [one, two]) await client.subscribe(channel);
    for (const data of [{ a: [1] }, 'text', '{"json":"text"}', null, 7]) {
      one.send('client-e', data, channel);
      expect(await two.until('client-e', channel)).to.deep.equal({ event: 'client-e', channel, data });
    }
    await trigger(channel, 'end', 1);
    await one.until('end', channel);
    expect(one.texts.filter((text) => text.includes('client-e'))).to.deep.equal([]);
  });

  it('have the user id of the member on presence channels, never one that the sender sets', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh('presence-');
    await one.subscribe(channel, member('honest'));
    await two.subscribe(channel, member('2'));
    one.socket.send(
      JSON.stringify({ event: 'client-e', channel, data: { user_id: 'liar' }, user_id: 'liar' }),
    );
    expect(await two.until('client-e', channel)).to.deep.equal({
      event: 'client-e',
      channel,
      data: { user_id: 'liar' },
      user_id: 'honest',
    });
  });

  it('require a channel that allows them and a subscription to it', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const [isPublic, encrypted, notMine] = [fresh(), fresh('private-encrypted-'), fresh('private-')];
    for (const channel of [isPublic, encrypted]) await one.subscribe(channel);
    for (const channel of [isPublic, encrypted, notMine]) await two.subscribe(channel);
    await one.settle();
    for (const channel of [isPublic, encrypted, notMine]) {
      one.send('client-e', {}, channel);
      await one.until('pusher:error');
      await trigger(channel, 'end', 1);
      await two.until('end', channel);
    }
    expect(two.texts.filter((text) => text.includes('client-e'))).to.deep.equal([]);
  });

  it('are limited to 10 per second; beyond that the client gets error 4301 and stays connected', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh('private-');
    for (const client of [one, two]) await client.subscribe(channel);
    const begun = performance.now();
    for (let n = 0; n < 30; n += 1) one.send('client-n', n, channel);
    const { data } = await one.until('pusher:error');
    expect(data.code).to.equal(4301);
    await one.settle();
    await trigger(channel, 'end', 1);
    await two.until('end', channel);
    const passed = two.texts.filter((text) => text.includes('client-n')).length;
    expect(passed).to.be.within(10, 10 * secondsTouchedSince(begun));
  });
});

describe('Pusher §5: encrypted channels', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  it('deliver nonce and ciphertext unchanged', async () => {
    const client = await clients.connect();
    const channel = fresh('private-encrypted-');
    await client.subscribe(channel);
    const data =
      '{"nonce":"4sVYwy4j/8dCcjyxtPCWyk19GaaViaW9","ciphertext":"/GMESnFGlbNn01BuBjp31XYa3i9vZsGKR8fgR9EDhXKx3lzGiUD501A="}';
    await trigger(channel, 'secret', data);
    expect((await client.until('secret', channel)).data).to.equal(data);
  });

  it('must be the only channel of an event', async () => {
    const { status } = await trigger([fresh('private-encrypted-'), fresh()], 'e', '{}');
    expect(status).to.equal(400);
    expect((await request('GET', '/channels')).status).to.equal(200);
  });
});
