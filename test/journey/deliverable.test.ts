import { expect } from 'chai';
import { Redis } from 'ioredis';
import { Api, type ApiAnswer } from '../support/api.ts';
import { type Client, connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP, signedTarget } from '../support/pusher-app.ts';
import { connectPusher, type PusherClient } from '../support/pusher-client.ts';
import { RedisServer } from '../support/redis-server.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { WebhookServer } from '../support/webhook-server.ts';

const SEED = Number(process.env.GUSHER_FUZZ_SEED ?? 4_711);
const ROUNDS = Number(process.env.GUSHER_FUZZ_ROUNDS ?? 1);
const { key: APP, id: ID } = PUSHER_APP;
const enc = encodeURIComponent;
/** Divides all limits, so that the default run is quick; 1 tests the default limits. */
const SCALE = Number(process.env.GUSHER_FUZZ_SCALE ?? 16);
const BODY_MAX_BYTES = (1024 * 1024) / SCALE;
const SEND_BUFFER_MAX_BYTES = 4 * BODY_MAX_BYTES;
const EVENT_MAX_BYTES = Math.floor(1_000_000 / SCALE);
/** Texts by their growth when escaped: none, twice, three bytes in UTF-8, six times. */
const UNITS = ['x', '"', '日', '\u0001', '\\'];
const CHANNEL = 'private-all';
const OTHER_CHANNEL = 'private-other';
const USER = 'ann';
/** Every connection with a signed-in user receives what is published here. */
const USER_CHANNEL = `#server-to-user-${USER}`;

/** Publishes text, which begins with the name of the event; returns the status. */
type Way = (event: string, text: string) => Promise<number>;

for (const broker of ['the embedded broker', 'Redis'] as const) {
  describe(`Acknowledged publications over ${broker}`, () => {
    let redis: RedisServer | undefined;
    let redisClient: Redis | undefined;
    let gusher: RunningGusher;
    let apps: AppsFile;
    let webhook: WebhookServer;
    const socketIds: string[] = [];
    let native: Client;
    let sender: Client;
    let pusher: PusherClient;
    let pusherSender: PusherClient;
    const api = new Api(() => gusher.api);

    before(async () => {
      webhook = await WebhookServer.start();
      webhook.answer = (response) => response.end(JSON.stringify({ user_id: USER, channels: ['*'] }));
      apps = new AppsFile({ url: webhook.url, client_events: true });
      if (broker === 'Redis') {
        redis = await RedisServer.start();
        redisClient = new Redis(redis.url);
        const fields = { id: ID, secret: PUSHER_APP.secret, url: webhook.url, client_events: 'true' };
        await redisClient.hset(APP, fields);
      }
      gusher = await startGusher({
        workers: 2,
        ...(redis !== undefined && { redisUrl: redis.url }),
        env: {
          GUSHER_APPS_FILE: apps.path,
          GUSHER_BODY_MAX_BYTES: String(BODY_MAX_BYTES),
          GUSHER_SEND_BUFFER_MAX_BYTES: String(SEND_BUFFER_MAX_BYTES),
          GUSHER_PUSHER_EVENT_MAX_BYTES: String(EVENT_MAX_BYTES),
          GUSHER_MESSAGE_MAX_BYTES: String(BODY_MAX_BYTES),
          GUSHER_CLIENT_EVENTS_PER_SECOND: '100000',
        },
      });
      [native, sender] = await Promise.all([
        connectClient(gusher.clientUrl(APP, '?auth=x')),
        connectClient(gusher.clientUrl(APP, '?auth=x')),
      ]);
      const url = `${gusher.url}/app/${APP}?protocol=7`;
      [pusher, pusherSender] = await Promise.all([
        connectPusher(url, PUSHER_APP),
        connectPusher(url, PUSHER_APP),
      ]);
      for (const client of [native, sender, pusher, pusherSender]) await client.subscribe(CHANNEL);
      for (const client of [native, pusher]) await client.subscribe(OTHER_CHANNEL);
      await native.subscribe(USER_CHANNEL);
      await pusher.signIn({ id: USER });
      await pusher.subscribe(USER_CHANNEL);
      const { socket_id: nativeId = '' } = await native.request('gusher.querychannel');
      socketIds.push(nativeId, pusher.socketId);
    });

    after(async () => {
      for (const { socket } of [native, sender, pusher, pusherSender]) socket.terminate();
      redisClient?.disconnect();
      expect(await gusher.stop()).to.equal(0);
      await redis?.stop();
      apps.remove();
      webhook.stop();
    });

    const rest = `/v1/apps/${APP}`;
    const ways: Record<string, Way> = {
      'a channel': async (event, data) =>
        (await api.post(`${rest}/channels/${CHANNEL}/messages`, { event, data })).status,
      'a batch': async (event, data) =>
        (await api.post(`${rest}/messages/batch`, [{ channel: CHANNEL, event, data }])).status,
      'a pattern': async (event, data) =>
        (await api.post(`${rest}/messages`, { channel_pattern: `^${CHANNEL}$`, event, data })).status,
      'an Idempotency-Key': async (event, data) => {
        const headers = { 'Idempotency-Key': event };
        return (await api.post(`${rest}/channels/${CHANNEL}/messages`, { event, data }, headers)).status;
      },
      'a user': async (event, data) =>
        (await api.post(`${rest}/users/${USER}/messages`, { event, data })).status,
      sockets: (event, data) =>
        highest(socketIds.map((id) => api.post(`${rest}/sockets/${id}/messages`, { event, data }))),
      'a batch of v1.13': async (event, data) =>
        (
          await api.form(`/push_batch/${APP}`, {
            batch_data: JSON.stringify([{ channel: CHANNEL, event, data }]),
          })
        ).status,
      'a pattern of v1.13': async (event, data) =>
        (await api.form(`/push/${APP}`, { channel_pattern: `^${CHANNEL}$`, event, data })).status,
      'a user of v1.13': async (_event, data) =>
        (await api.form(`/push/user/${APP}/${USER}`, { data: JSON.stringify(data) })).status,
      'sockets of v1.13': (_event, data) =>
        highest(
          socketIds.map((id) =>
            api.form(`/push/socket/${APP}/${enc(id)}`, { data: JSON.stringify({ data }) }),
          ),
        ),
      'v1.13': async (event, data) => {
        // Percent-encoding makes a text up to nine times as long.
        const most = Math.floor((data.length * 0.9 * BODY_MAX_BYTES) / enc(data).length);
        return (await api.form(`/push/${APP}/${CHANNEL}/${event}`, { data: data.slice(0, most) })).status;
      },
      'the body of v1.13 as it is': async (event, data) =>
        (await api.post(`/push/${APP}/${CHANNEL}/${event}`, `data=${data}`)).status,
      'signed events': (name, data) => signed('/events', { name, channel: CHANNEL, data }),
      'signed events of several channels': (name, data) =>
        signed('/events', { name, channels: [CHANNEL, OTHER_CHANNEL], data }),
      'a signed event of a user': (name, data) => signed('/events', { name, channel: USER_CHANNEL, data }),
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
      'PUBLISH gusher:backpush': async (event, data) => {
        const push = JSON.stringify({ app_key: APP, channel: CHANNEL, event, data });
        await redisClient?.publish('gusher:backpush', push);
        return 200;
      },
      'PUBLISH gusher:backpush:{app_key}': async (event, data) => {
        await redisClient?.publish(
          `gusher:backpush:${APP}`,
          JSON.stringify({ channel: CHANNEL, event, data }),
        );
        return 200;
      },
    };
    /** How often each client receives a publication, if not once. */
    const copies: Record<string, number> = { 'signed events of several channels': 2 };

    async function signed(path: string, body: object): Promise<number> {
      const text = JSON.stringify(body);
      return (await api.post(signedTarget('POST', `/apps/${ID}${path}`, text), text)).status;
    }

    for (const [name, publish] of Object.entries(ways)) {
      if (name.startsWith('PUBLISH') && broker !== 'Redis') continue;
      it(`reach a subscriber of each protocol: ${name}`, async () => {
        const random = new SeededRandom(SEED);
        let delivered = 0;
        for (let round = 0; round < ROUNDS; round += 1) {
          for (const unit of UNITS) {
            const bytes = Buffer.byteLength(JSON.stringify(unit)) - 2;
            const most = Math.floor((BODY_MAX_BYTES - 2_048) / bytes);
            const length = round === 0 && unit !== '\\' ? most : random.below(most);
            const event = `e${round}-${UNITS.indexOf(unit)}-${random.below(1e9)}`;
            const status = await publish(event, `${event} ${unit.repeat(length)}`);
            expect(status, `${unit} × ${length}`).to.be.oneOf([200, 202, 413]);
            if (status === 413) continue;
            delivered += 1;
            const isIt = (text: string): boolean => text.slice(0, 400).includes(event);
            for (let copy = 0; copy < (copies[name] ?? 1); copy += 1) {
              await within(nextWhere(native, isIt), `${event} for native clients`);
              await within(nextWhere(pusher, isIt), `${event} for Pusher clients`);
            }
          }
        }
        expect(delivered).to.be.at.least(1);
      });
    }
  });
}

/** Waits for all answers; returns the highest status. */
async function highest(answers: readonly Promise<ApiAnswer>[]): Promise<number> {
  return Math.max(...(await Promise.all(answers)).map(({ status }) => status));
}

async function nextWhere(client: Client | PusherClient, fits: (text: string) => boolean): Promise<void> {
  while (!fits(await client.nextText()));
}
