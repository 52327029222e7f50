import { expect } from 'chai';
import { WebSocket } from 'ws';
import { type Client, connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile } from '../support/pusher-app.ts';

const CHANNELS_MAX = 6;
const SUBSCRIPTIONS_MAX = 8;

describe('Limits of an app', () => {
  const channels = ['*'];
  const apps = new AppsFile(
    {},
    {
      narrow: { channels, max_channels: CHANNELS_MAX },
      few: { channels, max_subscriptions: SUBSCRIPTIONS_MAX },
      free: { channels },
    },
  );
  let gusher: RunningGusher;

  before(async () => {
    gusher = await startGusher({ workers: 2, env: { GUSHER_APPS_FILE: apps.path } });
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
    apps.remove();
  });

  async function subscribe(client: Client, channel: string): Promise<string> {
    const answer = await client.request('gusher.subscribe', { channel });
    return (answer.data as { code?: string }).code ?? 'subscribed';
  }

  async function connectTo(app: string, count: number): Promise<Client[]> {
    const clients: Client[] = [];
    for (let index = 0; index < count; index += 1) clients.push(await connectClient(gusher.clientUrl(app)));
    return clients;
  }

  it('reject channels beyond max_channels, and accept them again after clients unsubscribed from others', async () => {
    const clients = await connectTo('narrow', 4);
    const [first] = clients;
    if (first === undefined) throw new Error('there are no clients');
    let subscribed = 0;
    for (let round = 0; round < 30; round += 1) {
      const client = clients[round % clients.length] ?? first;
      const outcome = await subscribe(client, `room-${round}`);
      if (outcome === 'subscribed') subscribed += 1;
      else expect(outcome).to.equal('channels_full');
    }
    expect(subscribed).to.equal(CHANNELS_MAX);
    const [other] = await connectTo('free', 1);
    expect(await subscribe(other as Client, 'room')).to.equal('subscribed');
    for (const client of clients.slice(1)) await client.close();
    await eventually(async () => (await subscribe(first, 'another')) === 'subscribed', 'room for a channel');
    for (const client of [first, other]) await client?.close();
  });

  it('reject subscriptions beyond max_subscriptions, even to one channel', async () => {
    const clients = await connectTo('few', 20);
    const outcomes: string[] = [];
    for (const client of clients) outcomes.push(await subscribe(client, 'room'));
    const subscribed = outcomes.filter((outcome) => outcome === 'subscribed');
    expect(subscribed).to.have.length(SUBSCRIPTIONS_MAX);
    expect(new Set(outcomes)).to.deep.equal(new Set(['subscribed', 'subscriptions_full']));
    for (const client of clients) await client.close();
  });

  it('admit exactly the limit if clients of all workers subscribe at once', async () => {
    const clients = await connectTo('narrow', 12);
    const outcomes = await Promise.all(clients.map((client, index) => subscribe(client, `room-${index}`)));
    const subscribed = outcomes.filter((outcome) => outcome === 'subscribed');
    expect(subscribed).to.have.length(CHANNELS_MAX);
    const known = await Promise.all(
      clients.map((client) => subscribe(client, `room-${outcomes.indexOf('subscribed')}`)),
    );
    expect(new Set(known)).to.deep.equal(new Set(['subscribed']));
    for (const client of clients) await client.close();
  });

  it('keep a share of the names for another app', async () => {
    const env = { GUSHER_APPS_FILE: apps.path, GUSHER_NAMES_MAX_BYTES: '1048576' };
    const small = await startGusher({ workers: 2, env });
    const greedy = await connectClient(small.clientUrl('free'));
    const outcomes: string[] = [];
    for (let round = 0; round < 20 && outcomes.at(-1) !== 'names_full'; round += 1) {
      const names = Array.from({ length: 20 }, (_, index) => `${round}-${index}`.padEnd(256, 'x'));
      const answer = await greedy.request('gusher.multi_subscribe', { multi_channel: names });
      outcomes.push((answer.data as { code?: string }).code ?? 'subscribed');
    }
    // Half of 1 MiB, of which each channel takes 1,200 bytes and 4 for each of its 256 characters.
    expect(outcomes).to.deep.equal([...Array<string>(11).fill('subscribed'), 'names_full']);
    const other = await connectClient(small.clientUrl('few'));
    expect(await subscribe(other, 'room')).to.equal('subscribed');
    expect(await small.stop()).to.equal(0);
  });

  it('are named in the subscription_error of Pusher clients', async () => {
    const [holder] = await connectTo('narrow', 1);
    const pusher = new WebSocket(`ws://127.0.0.1:${gusher.port}/app/narrow?protocol=7`);
    const received: string[] = [];
    pusher.on('message', (data) => received.push(String(data)));
    await eventually(
      () => received.some((text) => text.includes('connection_established')),
      'a connection_established',
    );
    for (let index = 0; index < 30; index += 1) {
      pusher.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel: `room-${index}` } }));
    }
    await eventually(() => received.some((text) => text.includes('LimitReached')), 'a rejection');
    expect(received.find((text) => text.includes('LimitReached'))).to.include('max_channels');
    pusher.close();
    await holder?.close();
  });
});
