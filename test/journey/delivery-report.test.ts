import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { Api } from '../support/api.ts';
import { type Client, connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { RedisServer } from '../support/redis-server.ts';

const SLOW_BYTES = 200_000;
const SLOW_MESSAGES = 60;

describe('A delivery report', () => {
  for (const broker of ['embedded', 'redis'] as const) {
    describe(`with the ${broker} broker`, () => {
      const clients: Client[] = [];
      const api = new Api(() => gusher?.api ?? '');
      let redis: RedisServer | undefined;
      let gusher: RunningGusher | undefined;
      let slow: Socket | undefined;

      before(async () => {
        redis = broker === 'redis' ? await RedisServer.start() : undefined;
        await redis?.command('HSET', 'demo', 'channels', '*');
        const env = { GUSHER_BODY_MAX_BYTES: '500000', GUSHER_SEND_BUFFER_MAX_BYTES: '1000000' };
        gusher = await startGusher({ workers: 2, env, ...(redis && { redisUrl: redis.url }) });
        for (let n = 0; n < 6; n += 1) clients.push(await connectClient(gusher.clientUrl()));
        for (const client of clients) await client.subscribe('news');
      });

      after(async () => {
        slow?.destroy();
        for (const { socket } of clients) socket.terminate();
        await gusher?.stop();
        await redis?.stop();
      });

      const publish = (channel: string, data: unknown, query = '?report=delivery') =>
        api.post(`/v1/apps/demo/channels/${channel}/messages${query}`, { event: 'e', data });

      it('counts the subscribers of each worker', async () => {
        const { status, json } = await publish('news', 1);
        expect(status).to.equal(200);
        expect(json.channel).to.equal('news');
        expect(json.report).to.deep.include({
          complete: true,
          subscribers: 6,
          written: 6,
          queued: 0,
          dropped: 0,
        });
        const perWorker = { subscribers: 3, written: 3, queued: 0, dropped: 0 };
        expect(json.report.workers).to.deep.equal([
          { worker: 0, ...perWorker },
          { worker: 1, ...perWorker },
        ]);
        for (const client of clients) expect((await client.next()).data).to.equal(1);
      });

      it('is zero without subscribers, and absent unless requested', async () => {
        const { json } = await publish('empty', 1);
        expect(json.report).to.include({ complete: true, subscribers: 0, written: 0 });
        expect((await publish('news', 2, '')).json).to.deep.equal({ channel: 'news', event: 'e', data: 2 });
        expect((await publish('news', 2, '?report=other')).json).not.to.have.property('report');
      });

      it('shows clients that read too slowly, until they are dropped', async () => {
        slow = await connectWithoutReading(gusher?.port ?? 0);
        await eventuallySubscribed(api);
        const results: { queued: number; dropped: number; subscribers: number }[] = [];
        for (let n = 0; n < SLOW_MESSAGES; n += 1) {
          const { json } = await publish('slow', 'x'.repeat(SLOW_BYTES));
          results.push(json.report);
          if (json.report.dropped > 0) break;
        }
        expect(results[0]).to.include({ subscribers: 1 });
        expect(results.some(({ queued }) => queued === 1)).to.equal(true);
        expect(results.at(-1)).to.include({ subscribers: 1, dropped: 1 });
      });
    });
  }
});

/** A subscriber of the channel `slow` that reads nothing. */
async function connectWithoutReading(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  const text = Buffer.from('{"event":"gusher.subscribe","data":{"channel":"slow"}}');
  const mask = Buffer.alloc(4);
  socket.write(
    'GET /ws/demo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length]), mask, text]));
  return socket;
}

async function eventuallySubscribed(api: Api): Promise<void> {
  await eventually(async () => {
    const path = '/v1/apps/demo/channels/slow/messages?report=delivery';
    const { json } = await api.post(path, { event: 'e', data: 0 });
    return json.report.subscribers === 1;
  }, 'the slow client is subscribed');
}
