import { expect } from 'chai';
import { Api } from '../support/api.ts';
import { connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP, pusherSdk } from '../support/pusher-app.ts';
import { connectPusher } from '../support/pusher-client.ts';

const LIMIT = 20;

describe('Limits of an app per second', function () {
  this.timeout(20_000);
  const channels = ['*'];
  const apps = new AppsFile(
    { client_events: true, client_events_per_second: 1_000, max_client_events_per_second: 5 },
    {
      busy: { channels, max_publishes_per_second: LIMIT },
      loud: { channels, max_bytes_out_per_second: 200_000 },
      free: { channels },
    },
  );
  let gusher: RunningGusher;
  let api: Api;

  before(async () => {
    gusher = await startGusher({ workers: 2, env: { GUSHER_APPS_FILE: apps.path } });
    api = new Api(() => gusher.api);
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
    apps.remove();
  });

  it('answer 429 with Retry-After beyond max_publishes_per_second, on all workers together', async () => {
    const begin = performance.now();
    const publish = (app: string) => api.post(`/v1/apps/${app}/channels/news/messages`, { event: 'e' });
    const answers = await Promise.all(Array.from({ length: 5 * LIMIT }, () => publish('busy')));
    const seconds = (performance.now() - begin) / 1_000;
    const accepted = answers.filter(({ status }) => status === 200);
    const rejected = answers.find(({ status }) => status !== 200);
    expect(accepted.length).to.be.within(LIMIT - 2, LIMIT + Math.ceil(LIMIT * seconds));
    expect(rejected?.status).to.equal(429);
    expect(rejected?.json.error.code).to.equal('too_many_publishes');
    expect(rejected?.headers.get('retry-after')).to.equal('1');
    expect((await publish('free')).status).to.equal(200);
    await eventually(async () => (await publish('busy')).status === 200, 'the next second');
  });

  it('answer Pusher clients with 4301 beyond max_client_events_per_second, all clients together', async () => {
    const clients = await Promise.all(
      [1, 2, 3, 4].map(() => connectPusher(`${gusher.url}/app/${PUSHER_APP.key}?protocol=7`, PUSHER_APP)),
    );
    for (const client of clients) await client.subscribe('private-room');
    for (const client of clients)
      for (let count = 0; count < 5; count += 1) client.send('client-e', {}, 'private-room');
    const errors = (): string[] =>
      clients.flatMap(({ texts }) => texts.filter((text) => text.includes('pusher:error')));
    await eventually(() => errors().length >= 10, 'errors');
    expect(JSON.parse(errors()[0] ?? '').data.code).to.equal(4301);
    expect(errors()[0]).to.include('limit of client events per second');
    for (const client of clients) client.socket.close();
  });

  it('reject publications of an app whose clients receive more than max_bytes_out_per_second', async () => {
    const data = 'x'.repeat(50_000);
    const subscribers = await Promise.all([1, 2, 3, 4].map(() => connectClient(gusher.clientUrl('loud'))));
    for (const subscriber of subscribers) await subscriber.subscribe('news');
    let accepted = 0;
    await eventually(async () => {
      const { status, json } = await api.post('/v1/apps/loud/channels/news/messages', { event: 'e', data });
      if (status === 200) accepted += 1;
      else expect(json.error.code).to.equal('too_many_bytes_out');
      return status === 429;
    }, 'a rejection');
    for (const subscriber of subscribers)
      for (let count = 0; count < accepted; count += 1) expect((await subscriber.next()).data).to.equal(data);
    for (const subscriber of subscribers) await subscriber.close();
  });

  it('count each channel of an event of the Pusher API', async () => {
    apps.write({
      [PUSHER_APP.key]: { id: PUSHER_APP.id, secret: PUSHER_APP.secret, max_publishes_per_second: 10 },
    });
    const sdk = pusherSdk(gusher.api);
    const names = Array.from({ length: 10 }, (_, index) => `room-${index}`);
    await eventually(async () => {
      await sdk.trigger(names, 'e', {});
      const error = await sdk.trigger('room', 'e', {}).then(
        () => undefined,
        (reason: { status: number }) => reason,
      );
      return error?.status === 429;
    }, 'the changed limit');
  });
});
