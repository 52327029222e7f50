import { expect } from 'chai';
import { eventually } from '../../support/deadline.ts';
import { channelAuth, type PusherClient, type PusherMessage } from '../../support/pusher-client.ts';
import { Clients, conformanceTarget, fresh, trigger } from './target.ts';

describe('Pusher §4: subscribe and unsubscribe', () => {
  const clients = new Clients();
  afterEach(() => clients.closeAll());

  it('replies with subscription_succeeded, whose data is the string {}', async () => {
    const client = await clients.connect();
    const channel = fresh();
    client.sendSubscribe(channel);
    expect(await client.nextText()).to.equal(
      `{"event":"pusher_internal:subscription_succeeded","channel":"${channel}","data":"{}"}`,
    );
  });

  it('requires only the channel field for a public channel', async () => {
    const client = await clients.connect();
    const channel = fresh();
    client.send('pusher:subscribe', { channel });
    await client.expectData('pusher_internal:subscription_succeeded', channel);
  });

  it('replies to each of two subscribes, and delivers once', async () => {
    const client = await clients.connect();
    const channel = fresh();
    await client.subscribe(channel);
    await client.subscribe(channel);
    await trigger(channel, 'one', 1);
    await trigger(channel, 'two', 2);
    await client.until('one', channel);
    const { event } = await client.next();
    expect(event).to.equal('two');
  });

  it('replies to many subscribes in a row', async () => {
    const client = await clients.connect();
    const channels = Array.from({ length: 50 }, () => fresh());
    for (const channel of channels) client.sendSubscribe(channel);
    for (const channel of channels) await client.until('pusher_internal:subscription_succeeded', channel);
  });

  it('delivers publications after the reply, with data as the unchanged string', async () => {
    const client = await clients.connect();
    const channel = fresh();
    await client.subscribe(channel);
    for (const data of [
      '{"a": 1.0, "e":"\\u00e9"}',
      'plain',
      '',
      '"quoted"',
      ' [1] ',
      '{"a":',
      'null',
      'ü€😀',
    ]) {
      await trigger(channel, 'my event', data);
      const message = await client.until('my event', channel);
      expect(message).to.deep.equal({ event: 'my event', channel, data });
    }
  });

  it('delivers in the order of publication', async () => {
    const client = await clients.connect();
    const channel = fresh();
    await client.subscribe(channel);
    for (let n = 0; n < 20; n += 1) await trigger(channel, 'n', n);
    for (let n = 0; n < 20; n += 1) expect((await client.until('n', channel)).data).to.equal(String(n));
  });

  it('stops delivering after unsubscribe, which has no reply', async () => {
    const client = await clients.connect();
    const [left, kept] = [fresh(), fresh()];
    await client.subscribe(left);
    await client.subscribe(kept);
    client.send('pusher:unsubscribe', { channel: left });
    client.send('pusher:unsubscribe', { channel: fresh() });
    await client.settle();
    expect(client.unread.filter((text) => !text.includes('subscription_count'))).to.deep.equal([]);
    await trigger(left, 'e', 1);
    await trigger(kept, 'e', 2);
    expect((await client.until('e', kept)).data).to.equal('2');
    expect(client.texts.filter((text) => text.includes('"e"'))).to.have.length(1);
  });

  it('publishes to many channels, once to each, and excludes the named socket', async () => {
    const [one, other] = [await clients.connect(), await clients.connect()];
    const [a, b] = [fresh(), fresh()];
    for (const client of [one, other]) for (const channel of [a, b]) await client.subscribe(channel);
    await trigger([a, b], 'e', 1, { socket_id: one.socketId });
    await trigger([a, b], 'last', 2);
    // Order is guaranteed within a channel, not between channels.
    const received = (client: PusherClient, event: string): unknown[] =>
      client.texts
        .map((text) => JSON.parse(text) as PusherMessage)
        .filter((message) => message.event === event)
        .map(({ channel }) => channel);
    await eventually(
      () => received(other, 'last').length === 2 && received(one, 'last').length === 2,
      'all are received',
    );
    expect(received(other, 'e')).to.have.members([a, b]);
    expect(received(one, 'e')).to.deep.equal([]);
  });

  for (const [kind, channel] of [
    ['private', 'private-'],
    ['presence', 'presence-'],
    ['private encrypted', 'private-encrypted-'],
    ['private cache', 'private-cache-'],
    ['presence cache', 'presence-cache-'],
    ['private encrypted cache', 'private-encrypted-cache-'],
  ] as const) {
    it(`replies with subscription_error to a wrong signature on a ${kind} channel, and stays open`, async () => {
      const { key, secret } = await conformanceTarget();
      const client = await clients.connect();
      const name = fresh(channel);
      const member = '{"user_id":"1"}';
      const right = channelAuth({ key, secret }, client.socketId, name, member);
      const wrong = [
        undefined,
        '',
        'nonsense',
        right.slice(0, -1),
        right.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
        right.replace(key, 'other'),
        right.slice(key.length + 1),
        channelAuth({ key, secret: 'other' }, client.socketId, name, member),
        channelAuth({ key, secret }, '1.1', name, member),
        channelAuth({ key, secret }, client.socketId, `${name}x`, member),
        channelAuth({ key, secret }, client.socketId, name),
      ];
      for (const auth of wrong) {
        client.send('pusher:subscribe', { channel: name, auth, channel_data: member });
        const { data } = await client.expect('pusher:subscription_error', name);
        expect(data).to.include({ type: 'AuthError', status: 401 });
        expect(data.error).to.be.a('string');
      }
      client.send('pusher:subscribe', { channel: name, auth: right, channel_data: member });
      await client.expectData('pusher_internal:subscription_succeeded', name);
    });
  }

  it('accepts all allowed characters of channel names, and no others', async () => {
    const client = await clients.connect();
    await client.subscribe(`a-Z_0=@,.;${fresh()}`);
    for (const channel of [
      'with space',
      'ü',
      'a/b',
      'a:b',
      '#other',
      `${'x'.repeat(300)}`,
      '',
      'a\nb',
      'x#y',
    ]) {
      client.send('pusher:subscribe', { channel, auth: '' });
      const { data } = await client.until('pusher:subscription_error', channel);
      expect(data.error).to.be.a('string');
    }
  });

  it('determines the kind of a channel by its prefix only', async () => {
    const client = await clients.connect();
    for (const channel of [
      fresh('not-private-'),
      fresh('my-presence-'),
      fresh('privately-'),
      fresh('Private-'),
    ]) {
      client.send('pusher:subscribe', { channel, auth: '' });
      await client.until('pusher_internal:subscription_succeeded', channel);
    }
  });
});
