import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { Api } from '../support/api.ts';
import { type Client, connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP, signedTarget } from '../support/pusher-app.ts';
import { RedisServer } from '../support/redis-server.ts';
import { FLUSHED, type RecordedSpan } from '../support/span-recorder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const RECORDER = new URL('../support/span-recorder.js', import.meta.url).href;
const WORKER = new URL('../../src/worker/worker.js', import.meta.url).href;
const { key: APP, id: ID, secret } = PUSHER_APP;
const CHANNEL_PATH = `/v1/apps/${APP}/channels/news/messages`;
const ENVELOPE = '{"channel":"news","event":"e","data":{"n": 1.0}}';
const BODY = '{"event":"e","data":{"n": 1.0}}';
const PARENT = '00f067aa0ba902b7';
const WORKERS = 2;
const CLIENTS = 4;

let lastTrace = 0;

/** Returns a new trace id and its `traceparent`. */
function newTrace(flags = '01'): { id: string; headers: { traceparent: string } } {
  lastTrace += 1;
  const id = lastTrace.toString(16).padStart(32, 'a');
  return { id, headers: { traceparent: `00-${id}-${PARENT}-${flags}` } };
}

describe('Tracing', () => {
  for (const broker of ['embedded', 'redis'] as const) {
    describe(`with the ${broker} broker`, () => {
      const clients: Client[] = [];
      const folder = temporaryFolder();
      const file = join(folder.path, 'spans');
      const api = new Api(() => gusher.api);
      let apps: AppsFile;
      let redis: RedisServer | undefined;
      let gusher: RunningGusher;

      before(async () => {
        redis = broker === 'redis' ? await RedisServer.start() : undefined;
        await redis?.command('HSET', APP, 'channels', '*', 'id', ID, 'secret', secret);
        apps = new AppsFile({ channels: ['*'] });
        gusher = await startGusher({
          workers: WORKERS,
          env: {
            GUSHER_TRACING: 'on',
            GUSHER_APPS_FILE: apps.path,
            NODE_OPTIONS: `--import ${RECORDER}`,
            SPANS_FILE: file,
          },
          ...(redis && { redisUrl: redis.url }),
        });
        for (let n = 0; n < CLIENTS; n += 1) clients.push(await connectClient(gusher.clientUrl(APP)));
        for (const client of clients) await client.subscribe('news');
      });

      after(async () => {
        for (const { socket } of clients) socket.terminate();
        await gusher.stop();
        await redis?.stop();
        apps.remove();
        folder.remove();
      });

      function spans(traceId?: string): RecordedSpan[] {
        const lines = linesOf(file).map((line) => JSON.parse(line) as RecordedSpan);
        return lines.filter((span) => traceId === undefined || span.traceId === traceId);
      }

      async function spansOf(traceId: string, count: number): Promise<Record<string, RecordedSpan[]>> {
        await eventually(() => spans(traceId).length >= count, `${count} spans of ${traceId}`);
        const found = spans(traceId);
        expect(found).to.have.length(count);
        const named = (wanted: string) => found.filter(({ name }) => name === wanted);
        return Object.fromEntries(found.map(({ name }) => [name, named(name)]));
      }

      async function expectDelivered(text = ENVELOPE): Promise<void> {
        for (const client of clients) expect(await client.nextText()).to.equal(text);
      }

      it('continues the trace of the request through the broker to every worker', async () => {
        const { id, headers } = newTrace();
        const answer = await api.post(CHANNEL_PATH, BODY, { ...headers, tracestate: 'vendor=1,other=2' });
        expect(answer.text).to.equal(ENVELOPE);
        await expectDelivered();
        const found = await spansOf(id, 2 + WORKERS);
        const [publish] = found['gusher publish'] ?? [];
        const [sent] = found['gusher broker'] ?? [];
        const writes = found['gusher write'] ?? [];
        expect(publish).to.deep.include({ parentSpanId: PARENT, isParentRemote: true });
        expect(publish?.attributes).to.deep.include({
          'gusher.app': APP,
          'messaging.system': 'gusher',
          'messaging.destination.name': 'news',
          'http.response.status_code': 200,
        });
        expect(sent).to.deep.include({ parentSpanId: publish?.spanId, isParentRemote: false });
        expect(sent?.attributes).to.include({ 'gusher.event': 'e', 'gusher.app': APP });
        expect(writes).to.have.length(WORKERS);
        expect(new Set(writes.map(({ pid }) => pid)).size).to.equal(WORKERS);
        for (const write of writes) {
          expect(write).to.include({ parentSpanId: sent?.spanId, isParentRemote: true });
          expect(write.attributes).to.include({ 'gusher.subscribers': CLIENTS / WORKERS });
          expect(write.endedAt).to.be.at.least(write.startedAt);
        }
        for (const { tracestate } of spans(id)) expect(tracestate).to.equal('vendor=1,other=2');
        expect(JSON.stringify(spans(id))).not.to.include('1.0');
      });

      it('ignores an invalid traceparent, and leaves root spans to the sampler', async () => {
        const before = spans().length;
        const { headers } = newTrace();
        const valid = headers.traceparent;
        const id = valid.slice(3, 35);
        for (const traceparent of [
          '',
          '00',
          valid.toUpperCase(),
          `${valid}-more`,
          `ff${valid.slice(2)}`,
          valid.replace(id, '0'.repeat(32)),
          valid.replace(PARENT, '0'.repeat(16)),
          valid.replaceAll('-', '_'),
          `${valid}, ${valid}`,
          'a'.repeat(5_000),
        ]) {
          expect((await api.post(CHANNEL_PATH, BODY, { traceparent })).status, traceparent).to.equal(200);
          await expectDelivered();
        }
        const later = newTrace();
        const traceparent = `01${later.headers.traceparent.slice(2)}-more`;
        await api.post(CHANNEL_PATH, BODY, { traceparent, tracestate: `a=${'x'.repeat(600)}` });
        await expectDelivered();
        await spansOf(later.id, 2 + WORKERS);
        expect(spans(later.id).map(({ tracestate }) => tracestate)).to.deep.equal(['', '', '', '']);
        expect(spans()).to.have.length(before + 2 + WORKERS);
      });

      it('traces nothing if the caller does not sample', async () => {
        const unsampled = newTrace('00');
        await api.post(CHANNEL_PATH, BODY, unsampled.headers);
        await expectDelivered();
        const { id, headers } = newTrace();
        await api.post(CHANNEL_PATH, BODY, headers);
        await expectDelivered();
        await spansOf(id, 2 + WORKERS);
        expect(spans(unsampled.id)).to.deep.equal([]);
      });

      it('ends a rejected request with its error, and nothing behind it', async () => {
        const { id, headers } = newTrace();
        expect((await api.post(CHANNEL_PATH, '{"data":1}', headers)).status).to.equal(400);
        const { 'gusher publish': [publish] = [] } = await spansOf(id, 1);
        expect(publish?.attributes).to.include({
          'error.type': 'bad_event',
          'http.response.status_code': 400,
        });
        expect(publish?.status).to.equal(undefined);
      });

      it('has one broker span per message of a batch, up to 100 per request', async () => {
        const { id, headers } = newTrace();
        const messages = Array.from({ length: 103 }, (_, n) => ({ channel: 'empty', event: 'e', data: n }));
        const answer = await api.post(`/v1/apps/${APP}/messages/batch`, messages, headers);
        expect(answer.json).to.deep.equal({ total: 103 });
        const found = await spansOf(id, 101);
        expect(found['gusher broker']).to.have.length(100);
      });

      it('traces events of the Pusher HTTP API, and no request without a valid signature', async () => {
        const { id, headers } = newTrace();
        const body = JSON.stringify({ name: 'e', channels: ['news', 'empty'], data: '{"n": 1.0}' });
        const unsigned = newTrace();
        expect((await api.post(`/apps/${ID}/events`, body, unsigned.headers)).status).to.equal(401);
        const target = signedTarget('POST', `/apps/${ID}/events`, body);
        expect((await api.post(target, body, headers)).text).to.equal('{}');
        await expectDelivered();
        const found = await spansOf(id, 3 + WORKERS);
        expect(found['gusher publish']?.[0]?.attributes).to.include({ 'gusher.app': APP });
        expect(found['gusher broker']).to.have.length(2);
        expect(spans(unsigned.id)).to.deep.equal([]);
      });

      it('ends at the broker for a message to a user', async () => {
        const { id, headers } = newTrace();
        await api.post(`/v1/apps/${APP}/users/u1/messages`, { data: 1 }, headers);
        const found = await spansOf(id, 2);
        expect(found['gusher broker']?.[0]?.parentSpanId).to.equal(found['gusher publish']?.[0]?.spanId);
      });

      if (broker === 'redis') {
        it('adds bytes in Redis only for sampled traces', async () => {
          const subscriber = new Redis(redis?.url ?? '');
          const received: string[] = [];
          subscriber.on('message', (_channel, message) => received.push(message));
          await subscriber.subscribe(`${APP}@news`);
          await api.post(CHANNEL_PATH, BODY, newTrace('00').headers);
          await api.post(CHANNEL_PATH, BODY, newTrace().headers);
          await eventually(() => received.length === 2, 'both publications');
          for (let n = 0; n < 2; n += 1) await expectDelivered();
          expect(Object.keys(JSON.parse(received[0] ?? '').gusher)).to.deep.equal(['accepted']);
          expect(JSON.parse(received[1] ?? '').gusher.trace.traceparent).to.match(/^00-.*-01$/);
          subscriber.disconnect();
        });

        it('continues the trace of a Redis message that carries one, and delivers any other without', async () => {
          const before = spans().length;
          const { id, headers } = newTrace();
          const unsampled = newTrace('00').headers;
          const publish = (trace: unknown) => {
            const gusher = JSON.stringify({ trace });
            return redis?.command('PUBLISH', `${APP}@news`, `${ENVELOPE.slice(0, -1)},"gusher":${gusher}}`);
          };
          for (const trace of [
            7,
            null,
            [],
            headers.traceparent,
            { traceparent: 7 },
            { traceparent: `${headers.traceparent}\n` },
            { traceparent: 'x'.repeat(100_000) },
            unsampled,
          ]) {
            await publish(trace);
            await expectDelivered();
          }
          await redis?.command('PUBLISH', `${APP}@news`, ENVELOPE);
          await expectDelivered();
          await publish({ ...headers, tracestate: 7, other: 1 });
          await expectDelivered();
          const found = await spansOf(id, WORKERS);
          expect(found['gusher write']?.map(({ parentSpanId }) => parentSpanId)).to.deep.equal([
            PARENT,
            PARENT,
          ]);
          expect(spans()).to.have.length(before + WORKERS);
        });
      }

      it('flushes the spans of each worker before it exits', async () => {
        for (const { socket } of clients) socket.terminate();
        expect(await gusher.stop()).to.equal(0);
        const flushed = spans().filter(({ name }) => name === FLUSHED);
        expect(new Set(flushed.map(({ pid }) => pid)).size).to.equal(WORKERS);
      });
    });
  }

  describe('without GUSHER_TRACING', () => {
    it('makes no spans', async () => {
      const folder = temporaryFolder();
      const file = join(folder.path, 'spans');
      const gusher = await startGusher({
        workers: 1,
        env: { NODE_OPTIONS: `--import ${RECORDER}`, SPANS_FILE: file, SPANS_OF_ROOTS: '1' },
      });
      const client = await connectClient(gusher.clientUrl());
      await client.subscribe('news');
      const api = new Api(() => gusher.api);
      await api.post('/v1/apps/demo/channels/news/messages', BODY, newTrace().headers);
      expect(await client.nextText()).to.equal(ENVELOPE);
      client.socket.terminate();
      expect(await gusher.stop()).to.equal(0);
      expect(linesOf(file)).to.deep.equal([]);
      folder.remove();
    });

    it('does not import the API', () => {
      // The API is a CommonJS module, so each import of it is in this cache.
      const program = `await import('${WORKER}');
        const { default: { _cache } } = await import('node:module');
        console.log(Object.keys(_cache).filter((path) => path.includes('opentelemetry')).length, Object.keys(_cache).length > 10);`;
      const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program]);
      expect(output.toString().trim()).to.equal('0 true');
    });
  });

  it('warns if no SDK is loaded, and serves', async () => {
    const gusher = await startGusher({ workers: 1, env: { GUSHER_TRACING: 'on' } });
    const { level } = await gusher.logged('tracing_without_sdk');
    expect(level).to.equal('warn');
    const api = new Api(() => gusher.api);
    const path = '/v1/apps/demo/channels/news/messages';
    expect((await api.post(path, BODY, newTrace().headers)).text).to.equal(ENVELOPE);
    expect(await gusher.stop()).to.equal(0);
  });
});

/** The lines of a file, none if it does not exist. */
function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n');
  } catch {
    return [];
  }
}
