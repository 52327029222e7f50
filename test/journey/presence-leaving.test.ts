import { expect } from 'chai';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP, pusherSdk } from '../support/pusher-app.ts';
import { connectPusher } from '../support/pusher-client.ts';

const CLIENTS = 60;

describe('Pusher clients that disconnect while they subscribe', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;

  before(async () => {
    apps = new AppsFile({ subscription_count: true });
    gusher = await startGusher({ workers: 2, env: { GUSHER_APPS_FILE: apps.path } });
  });

  after(async () => {
    await gusher.stop();
    apps.remove();
  });

  const connect = () => connectPusher(`${gusher.url}/app/${PUSHER_APP.key}`, PUSHER_APP);

  for (const how of ['close', 'terminate'] as const) {
    it(`leave no member behind (${how})`, async () => {
      const channels = ['presence-', 'presence-cache-', 'private-', 'cache-', ''].map((kind) => kind + how);
      for (let n = 0; n < CLIENTS; n += 1) {
        const client = await connect();
        for (const channel of channels) client.sendSubscribe(channel, `{"user_id":"u${n}"}`);
        client.socket[how]();
        await client.closed;
      }
      const sdk = pusherSdk(gusher.api);
      const occupied = async (): Promise<string[]> =>
        Object.keys(JSON.parse(await (await sdk.get({ path: '/channels' })).text()).channels);
      await eventually(async () => (await occupied()).length === 0, 'no channel is occupied');
      const client = await connect();
      for (const channel of ['presence-', 'presence-cache-'].map((kind) => kind + how)) {
        const { presence } = await client.subscribe(channel, { user_id: 'me' });
        expect(presence.ids).to.deep.equal(['me']);
      }
      await client.close();
    });
  }
});
