import { expect } from 'chai';
import { signatureOf } from '../../../src/shared/crypto/signature.ts';
import { eventually } from '../../support/deadline.ts';
import { Clients, conformanceTarget, fresh, webhookCalls } from './target.ts';

interface WebhookEvent {
  readonly name: string;
  readonly channel: string;
  readonly [fact: string]: unknown;
}

function eventsOf(channel: string): WebhookEvent[] {
  const events = webhookCalls.flatMap(({ body }) => (JSON.parse(body) as { events: WebhookEvent[] }).events);
  return events.filter((event) => event.channel === channel);
}

/** Waits for an event; returns it. */
async function received(channel: string, name: string): Promise<WebhookEvent> {
  const find = (): WebhookEvent | undefined => eventsOf(channel).find((event) => event.name === name);
  await eventually(() => find() !== undefined, `${name} of ${channel} is reported`);
  return find() as WebhookEvent;
}

describe('Pusher §12: webhooks', () => {
  const clients = new Clients();

  before(async function () {
    if ((await conformanceTarget()).webhookPort === undefined) this.skip();
  });
  afterEach(() => clients.closeAll());

  it('are POSTs of exactly application/json, signed over the raw body', async () => {
    const { key, secret } = await conformanceTarget();
    const client = await clients.connect();
    const channel = fresh();
    await client.subscribe(channel);
    await received(channel, 'channel_occupied');
    for (const { headers, body } of webhookCalls) {
      expect(headers['content-type']).to.equal('application/json');
      expect(headers['x-pusher-key']).to.equal(key);
      expect(headers['x-pusher-signature']).to.equal(signatureOf(secret, body));
      expect(JSON.parse(body).time_ms).to.be.closeTo(Date.now(), 600_000);
    }
  });

  it('report occupied and vacated channels, and members that join and leave', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh('presence-');
    await one.subscribe(channel, { user_id: 'ü' });
    await two.subscribe(channel, { user_id: 'ü' });
    expect(await received(channel, 'channel_occupied')).to.deep.equal({ name: 'channel_occupied', channel });
    expect(await received(channel, 'member_added')).to.deep.equal({
      name: 'member_added',
      channel,
      user_id: 'ü',
    });
    await one.close();
    await two.close();
    expect(await received(channel, 'member_removed')).to.deep.equal({
      name: 'member_removed',
      channel,
      user_id: 'ü',
    });
    await received(channel, 'channel_vacated');
    const names = eventsOf(channel).map(({ name }) => name);
    expect(names.sort()).to.deep.equal([
      'channel_occupied',
      'channel_vacated',
      'member_added',
      'member_removed',
    ]);
  });

  it('do not report a leave that is undone at once', async () => {
    const one = await clients.connect();
    const channel = fresh('presence-');
    await one.subscribe(channel, { user_id: '1' });
    await received(channel, 'member_added');
    await one.close();
    const back = await clients.connect();
    await back.subscribe(channel, { user_id: '1' });
    // A later leave of another channel, which is reported.
    const later = fresh('presence-');
    const other = await clients.connect();
    await other.subscribe(later, { user_id: '1' });
    await received(later, 'member_added');
    await other.close();
    await received(later, 'member_removed');
    expect(eventsOf(channel).filter(({ name }) => /removed|vacated/.test(name))).to.deep.equal([]);
  });

  it('report client events with the sender and the channel', async () => {
    const client = await clients.connect();
    const channel = fresh('presence-');
    await client.subscribe(channel, { user_id: '1' });
    client.send('client-e', { n: 1 }, channel);
    expect(await received(channel, 'client_event')).to.deep.equal({
      name: 'client_event',
      channel,
      event: 'client-e',
      data: '{"n":1}',
      socket_id: client.socketId,
      user_id: '1',
    });
  });

  it('report a cache miss once for concurrent misses, and subscription counts', async () => {
    const [one, two] = [await clients.connect(), await clients.connect()];
    const channel = fresh('cache-');
    await one.subscribe(channel);
    await two.subscribe(channel);
    expect(await received(channel, 'cache_miss')).to.deep.equal({ name: 'cache_miss', channel });
    const { subscription_count: count } = await received(channel, 'subscription_count');
    expect(count).to.be.within(1, 2);
    expect(eventsOf(channel).filter(({ name }) => name === 'cache_miss')).to.have.length(1);
  });
});
