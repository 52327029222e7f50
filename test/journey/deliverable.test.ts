import { expect } from 'chai';
import { Redis } from 'ioredis';
import { Api } from '../support/api.ts';
import { type Client, connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP, signedTarget } from '../support/pusher-app.ts';
import { connectPusher, type PusherClient } from '../support/pusher-client.ts';
import { RedisServer } from '../support/redis-server.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const SEED = Number(process.env.GUSHER_FUZZ_SEED ?? 4_711);
const ROUNDS = Number(process.env.GUSHER_FUZZ_ROUNDS ?? 1);
const { key: APP, id: ID } = PUSHER_APP;
const BODY_MAX_BYTES = 1024 * 1024;
const EVENT_MAX_BYTES = 1_000_000;
/** Texts by their growth when escaped: none, twice, three bytes in UTF-8, six times. */
const UNITS = ['x', '"', '日', '\u0001', '\\'];
const CHANNEL = 'private-all';

/** Publishes text of about that length under an event; returns the status. */
type Way = (event: string, text: string) => Promise<number>;

for (const broker of ['the embedded broker', 'Redis'] as const) {
  describe(`Acknowledged publications over ${broker}`, () => {
    let redis: RedisServer | undefined;
    let redisClient: Redis | undefined;
    let gusher: RunningGusher;
    let apps: AppsFile;
    let native: Client;
    let sender: Client;
    let pusher: PusherClient;
    let pusherSender: PusherClient;
    const api = new Api(() => gusher.api);

    before(async () => {
      apps = new AppsFile({ channels: ['*'], client_events: true });
      if (broker === 'Redis') {
        redis = await RedisServer.start();
        redisClient = new Redis(redis.url);
        const fields = { id: ID, secret: PUSHER_APP.secret, channels: '["*"]', client_events: 'true' };
        await redisClient.hset(APP, fields);
      }
      gusher = await startGusher({
        workers: 2,
        ...(redis !== undefined && { redisUrl: redis.url }),
        env: {
          GUSHER_APPS_FILE: apps.path,
          GUSHER_PUSHER_EVENT_MAX_BYTES: String(EVENT_MAX_BYTES),
          GUSHER_MESSAGE_MAX_BYTES: String(BODY_MAX_BYTES),
          GUSHER_CLIENT_EVENTS_PER_SECOND: '100000',
        },
      });
      [native, sender] = await Promise.all([
        connectClient(gusher.clientUrl(APP)),
        connectClient(gusher.clientUrl(APP)),
      ]);
      const url = `${gusher.url}/app/${APP}?protocol=7`;
      [pusher, pusherSender] = await Promise.all([
        connectPusher(url, PUSHER_APP),
        connectPusher(url, PUSHER_APP),
      ]);
      for (const client of [native, sender]) await client.subscribe(CHANNEL);
      for (const client of [pusher, pusherSender]) await client.subscribe(CHANNEL);
    });

    after(async () => {
      for (const { socket } of [native, sender, pusher, pusherSender]) socket.terminate();
      redisClient?.disconnect();
      expect(await gusher.stop()).to.equal(0);
      await redis?.stop();
      apps.remove();
    });

    const rest = `/v1/apps/${APP}`;
    const ways: Record<string, Way> = {
      'a channel': async (event, data) =>
        (await api.post(`${rest}/channels/${CHANNEL}/messages`, { event, data })).status,
      'a batch': async (event, data) =>
        (await api.post(`${rest}/messages/batch`, [{ channel: CHANNEL, event, data }])).status,
      'a pattern': async (event, data) =>
        (await api.post(`${rest}/messages`, { channel_pattern: `^${CHANNEL}$`, event, data })).status,
      'v1.13': async (event, data) =>
        (
          await api.post(
            `/push/${APP}/${CHANNEL}/${event}`,
            `data=${encodeURIComponent(data).slice(0, 900_000)}`,
          )
        ).status,
      'the body of v1.13 as it is': async (event, data) =>
        (await api.post(`/push/${APP}/${CHANNEL}/${event}`, `data=${data}`)).status,
      'signed events': (name, data) => signed('/events', { name, channel: CHANNEL, data }),
      'a signed batch': (name, data) =>
        signed('/batch_events', { batch: [{ name, channel: CHANNEL, data }] }),
      'the old channel events': async (name, data) => {
        const target = signedTarget('POST', `/apps/${ID}/channels/${CHANNEL}/events`, data, {
          query: { name },
        });
        return (await api.post(target, data)).status;
      },
      'a client event': async (event, data) => {
        sender.send(`client-${event}`, data, { channel: CHANNEL });
        return 200;
      },
      'a Pusher client event': async (event, data) => {
        if (Buffer.byteLength(JSON.stringify(data)) > EVENT_MAX_BYTES) return 413;
        pusherSender.send(`client-${event}`, data, CHANNEL);
        return 200;
      },
      PUBLISH: async (event, data) => {
        const envelope = JSON.stringify({ channel: CHANNEL, event, data });
        await redisClient?.publish(`${APP}@${CHANNEL}`, envelope);
        return 200;
      },
    };

    async function signed(path: string, body: object): Promise<number> {
      const text = JSON.stringify(body);
      return (await api.post(signedTarget('POST', `/apps/${ID}${path}`, text), text)).status;
    }

    for (const [name, publish] of Object.entries(ways)) {
      if (name === 'PUBLISH' && broker !== 'Redis') continue;
      it(`reach a subscriber of each protocol: ${name}`, async () => {
        const random = new SeededRandom(SEED);
        let delivered = 0;
        for (let round = 0; round < ROUNDS; round += 1) {
          for (const unit of UNITS) {
            const bytes = Buffer.byteLength(JSON.stringify(unit)) - 2;
            const most = Math.floor((BODY_MAX_BYTES - 2_048) / bytes);
            const length = round === 0 && unit !== '\\' ? most : random.below(most);
            const event = `e${round}-${UNITS.indexOf(unit)}-${random.below(1e9)}`;
            const status = await publish(event, unit.repeat(length));
            expect(status, `${unit} × ${length}`).to.be.oneOf([200, 202, 413]);
            if (status === 413) continue;
            delivered += 1;
            const isIt = (text: string): boolean => text.slice(0, 400).includes(event);
            await within(nextWhere(native, isIt), `${event} for native clients`);
            await within(nextWhere(pusher, isIt), `${event} for Pusher clients`);
          }
        }
        expect(delivered).to.be.at.least(1);
      });
    }
  });
}

async function nextWhere(client: Client | PusherClient, fits: (text: string) => boolean): Promise<void> {
  while (!fits(await client.nextText()));
}
