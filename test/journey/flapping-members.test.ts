import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP } from '../support/pusher-app.ts';
import { channelAuth, connectPusher, type PusherClient } from '../support/pusher-client.ts';
import { WebhookServer } from '../support/webhook-server.ts';

const { key } = PUSHER_APP;
const ROOM = 'presence-room';
/** A new client may join so many presence channels at once, and then 5 per second. */
const BURST = 100;
const PACED = 5;
const PACED_MS = 1_000;

describe('Members that join and leave as fast as they can', function () {
  this.timeout(20_000);
  let gusher: RunningGusher;
  let apps: AppsFile;
  let webhook: WebhookServer;

  before(async () => {
    webhook = await WebhookServer.start();
    webhook.answer = (response) => response.end(JSON.stringify({ user_id: 'flapper', channels: ['*'] }));
    apps = new AppsFile({ url: webhook.url, subscription_count: true });
    gusher = await startGusher({ workers: 2, env: { GUSHER_APPS_FILE: apps.path } });
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
    webhook.stop();
    apps.remove();
  });

  function connectMember(): Promise<PusherClient> {
    return connectPusher(`${gusher.url}/app/${key}`, PUSHER_APP);
  }

  function countOf(client: PusherClient, text: string): number {
    return client.texts.filter((received) => received.includes(text)).length;
  }

  /** Sends pairs of subscribe and unsubscribe, more than the pace allows; waits until `joined` returns enough. */
  async function flap(sendPair: () => void, joined: () => number): Promise<void> {
    const neighbours = await Promise.all([1, 2, 3, 4].map(connectMember));
    for (const [index, neighbour] of neighbours.entries())
      await neighbour.subscribe(ROOM, { user_id: `neighbour-${index}` });
    const begin = performance.now();
    for (let count = 0; count < BURST + 4 * PACED; count += 1) sendPair();
    await eventually(() => joined() >= BURST + PACED, 'paced joins');
    const elapsedMs = performance.now() - begin;
    expect(elapsedMs).to.be.at.least(0.8 * PACED_MS);
    const allowed = BURST + Math.ceil((elapsedMs / PACED_MS) * PACED) + 1;
    for (const neighbour of neighbours) {
      const added = neighbour.texts.filter(
        (text) => text.includes('member_added') && text.includes('flapper'),
      ).length;
      // A join and a leave that the worker reports together cancel each other out.
      expect(added).to.be.at.most(allowed);
    }
    const delivered = Promise.all(neighbours.map((neighbour) => neighbour.until('tick', ROOM)));
    expect((await gusher.publish(ROOM, 'tick', 1, key)).status).to.equal(200);
    await within(delivered, 'a publication to the neighbours');
    for (const neighbour of neighbours) await neighbour.close();
  }

  it('join at a limited pace in the native protocol, and neighbours stay served', async () => {
    const flapper: Client = await connectClient(gusher.clientUrl(key, '?auth=ticket'));
    let joined = 0;
    flapper.socket.on('message', (data) => {
      if (String(data).includes('gusher.subscribe_succeeded')) joined += 1;
    });
    await flap(
      () => {
        flapper.send('gusher.subscribe', { channel: ROOM });
        flapper.send('gusher.unsubscribe', { channel: ROOM });
      },
      () => joined,
    );
    flapper.socket.terminate();
  });

  it('join at a limited pace in the Pusher protocol, and neighbours stay served', async () => {
    const flapper = await connectMember();
    const channel_data = JSON.stringify({ user_id: 'flapper' });
    const auth = channelAuth(PUSHER_APP, flapper.socketId, ROOM, channel_data);
    await flap(
      () => {
        flapper.send('pusher:subscribe', { channel: ROOM, auth, channel_data });
        flapper.send('pusher:unsubscribe', { channel: ROOM });
      },
      () => countOf(flapper, 'subscription_succeeded'),
    );
    flapper.socket.terminate();
  });

  it('change the subscription count of a channel without an announcement for each change', async () => {
    const watcher = await connectMember();
    await watcher.subscribe('news');
    const flapper = await connectMember();
    for (let count = 0; count < 300; count += 1) {
      flapper.send('pusher:subscribe', { channel: 'news' });
      flapper.send('pusher:unsubscribe', { channel: 'news' });
    }
    await eventually(() => countOf(flapper, 'subscription_succeeded') >= 300, 'all subscriptions');
    await flapper.close();
    await eventually(
      () =>
        (watcher.texts.filter((text) => text.includes('subscription_count')).at(-1) ?? '').includes(':1}'),
      'the final count',
    );
    expect(countOf(watcher, 'subscription_count')).to.be.at.most(60);
  });
});
