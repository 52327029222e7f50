import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { connectClient, expectError } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { freePort, RedisServer } from '../support/redis-server.ts';
import { selfSigned } from '../support/self-signed.ts';
import { WebhookServer } from '../support/webhook-server.ts';

const TIMEOUT_MS = 2_000;
const MAX_IN_FLIGHT = 4;

describe('Auth webhook', () => {
  let redis: RedisServer;
  let webhook: WebhookServer;
  let gusher: RunningGusher;

  before(async () => {
    redis = await RedisServer.start();
    webhook = await WebhookServer.start();
    await redis.command('HSET', 'shop', 'url', webhook.url);
    gusher = await startGusher({
      workers: 1,
      redisUrl: redis.url,
      env: {
        GUSHER_AUTH_WEBHOOK_TIMEOUT_MS: String(TIMEOUT_MS),
        GUSHER_AUTH_WEBHOOK_MAX_IN_FLIGHT: String(MAX_IN_FLIGHT),
      },
    });
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
    const log = JSON.stringify(gusher.logs);
    expect(log).not.to.include('t0k').and.not.to.include(webhook.url);
    webhook.stop();
    await redis.stop();
  });

  const connectUrl = (app = 'shop'): string => gusher.clientUrl(app, '?auth=t0k%26n+é');

  it('receives a form, and grants the channels of its response', async () => {
    webhook.answer = json({ user_id: 'u1', channels: ['news', 'room-*'] });
    const client = await connectClient(connectUrl());
    expect(webhook.calls.at(-1)).to.deep.equal({
      method: 'POST',
      contentType: 'application/x-www-form-urlencoded',
      body: 'auth=t0k%26n+%C3%A9',
    });
    await client.subscribe('room-7');
    const reply = await client.request('gusher.subscribe', { channel: 'other' });
    expect(reply.event).to.equal('gusher.subscribe_error');
    await client.close();
  });

  for (const [what, answer] of [
    ['`channel` with a list', { user_id: 'u1', channel: ['news'] }],
    ['`channel` with one name', { user_id: 'u1', channel: 'news' }],
    ['`channels` with one name', { user_id: 'u1', channels: 'news' }],
    ['no `user_id`', { channels: ['news'] }],
  ] as const) {
    it(`may respond with ${what}`, async () => {
      webhook.answer = json(answer);
      const client = await connectClient(connectUrl());
      await client.subscribe('news');
      await client.close();
    });
  }

  const hang = (): void => undefined;
  for (const [what, answer, status, code] of [
    ['responds 403', status403, 401, 'auth_rejected'],
    ['grants no channel', json({ user_id: 'u1', channels: [] }), 401, 'auth_rejected'],
    ['responds 422', (response: ServerResponse) => response.writeHead(422).end(), 401, 'auth_rejected'],
    ...[404, 405, 413, 415, 419, 426].map(
      (status) =>
        [
          `responds ${status}`,
          (response: ServerResponse) => response.writeHead(status).end('<html>'),
          502,
          'auth_unusable',
        ] as const,
    ),
    ['names no channels', json({ user_id: 'u1' }), 502, 'auth_unusable'],
    [
      'responds without a body',
      (response: ServerResponse) => response.writeHead(204).end(),
      502,
      'auth_unusable',
    ],
    ['responds in Latin-1', latin1, 502, 'auth_unusable'],
    ['responds with gzip', gzip, 502, 'auth_unusable'],
    ['switches protocols', switchProtocols, 502, 'auth_unusable'],
    ['responds 429', (response: ServerResponse) => response.writeHead(429).end(), 503, 'auth_busy'],
    ['responds 500', (response: ServerResponse) => response.writeHead(500).end(), 502, 'auth_unusable'],
    ['redirects', redirect, 502, 'auth_unusable'],
    ['responds without JSON', (response: ServerResponse) => response.end('<html>'), 502, 'auth_unusable'],
    ['responds with JSON of another shape', json({ channels: [1, 2] }), 502, 'auth_unusable'],
    ['responds with a list', json([1]), 502, 'auth_unusable'],
    ['responds endlessly', flood, 502, 'auth_unusable'],
    ['closes the connection', (response: ServerResponse) => response.destroy(), 502, 'auth_unusable'],
    ['closes the connection within the body', truncate, 502, 'auth_unusable'],
    ['hangs', hang, 504, 'auth_timeout'],
    ['hangs within the body', (response: ServerResponse) => response.write('{"cha'), 504, 'auth_timeout'],
  ] as const) {
    it(`rejects the client if it ${what}`, async () => {
      webhook.answer = answer;
      expect(await expectError(connectUrl())).to.deep.equal({ status, code });
    });
  }

  it('is logged once with status and reason if it is misconfigured', async () => {
    await redis.command('HSET', 'moved', 'url', webhook.url);
    webhook.answer = (response) => response.writeHead(404).end();
    for (let client = 0; client < 3; client += 1) await expectError(connectUrl('moved'));
    const isOfMoved = ({ app, event }: (typeof gusher.logs)[number]): boolean =>
      app === 'moved' && event === 'auth_webhook_failed';
    const line = await gusher.log(isOfMoved, 'that a webhook fails');
    expect(line).to.include({
      event: 'auth_webhook_failed',
      code: 'auth_unusable',
      reason: 'status',
      status: 404,
    });
    expect(gusher.logs.filter(isOfMoved)).to.have.length(1);
  });

  it('serves the next client after more 101 responses than concurrent calls are allowed', async () => {
    webhook.answer = switchProtocols;
    const rejected = Array.from({ length: MAX_IN_FLIGHT * 3 }, () => expectError(connectUrl()));
    expect((await Promise.all(rejected)).map(({ code }) => code)).to.deep.equal(
      rejected.map(() => 'auth_unusable'),
    );
    webhook.answer = json({ channels: ['news'] });
    await (await connectClient(connectUrl())).close();
  });

  it('does not delay the clients of another app while it hangs', async () => {
    const other = await WebhookServer.start();
    other.answer = json({ channels: ['news'] });
    await redis.command('HSET', 'other', 'url', other.url);
    webhook.answer = hang;
    const silent = Array.from({ length: MAX_IN_FLIGHT * 6 }, () => expectError(connectUrl()));
    await eventually(() => webhook.inFlight === MAX_IN_FLIGHT, 'the silent webhook is asked');
    const since = performance.now();
    await (await connectClient(connectUrl('other'))).close();
    expect(performance.now() - since).to.be.lessThan(TIMEOUT_MS / 2);
    webhook.stopHanging();
    await Promise.all(silent);
    other.stop();
  });

  it('rejects the client if nothing listens there or its URL is invalid', async () => {
    await redis.command('HSET', 'ghost', 'url', `http://127.0.0.1:${await freePort()}/`);
    expect(await expectError(connectUrl('ghost'))).to.deep.equal({ status: 502, code: 'auth_unusable' });
    const line = await gusher.log(
      ({ app, event }) => app === 'ghost' && event === 'auth_webhook_failed',
      'that a webhook fails',
    );
    expect(line).to.include({
      level: 'warn',
      event: 'auth_webhook_failed',
      code: 'auth_unusable',
      reason: 'unreachable',
      systemCode: 'ECONNREFUSED',
    });
    await redis.command('HSET', 'typo', 'url', 'not a url');
    expect(await expectError(connectUrl('typo')))
      .to.have.property('status')
      .that.is.within(400, 599);
  });

  it('rejects the client if its certificate is self-signed', async () => {
    const secure = await WebhookServer.start(selfSigned());
    secure.answer = json({ channels: ['news'] });
    await redis.command('HSET', 'secure', 'url', secure.url);
    expect(await expectError(connectUrl('secure'))).to.deep.equal({ status: 502, code: 'auth_unusable' });
    expect(secure.calls).to.deep.equal([]);
    secure.stop();
  });

  it('is called over persistent connections', async () => {
    webhook.answer = json({ channels: ['news'] });
    await (await connectClient(connectUrl())).close();
    const before = webhook.connections;
    for (let time = 0; time < 5; time += 1) await (await connectClient(connectUrl())).close();
    expect(webhook.connections).to.equal(before);
  });

  it('limits concurrent calls: further clients wait in a queue, clients beyond the queue are rejected', async () => {
    webhook.maxInFlight = 0;
    const held: ServerResponse[] = [];
    webhook.answer = (response) => void held.push(response);
    const clients = Array.from({ length: MAX_IN_FLIGHT * 3 }, () => connectClient(connectUrl()));
    await eventually(() => held.length === MAX_IN_FLIGHT, 'the webhook receives the calls');
    webhook.answer = json({ channels: ['news'] });
    for (const response of held) json({ channels: ['news'] })(response);
    for (const client of await Promise.all(clients)) client.socket.terminate();
    expect(webhook.maxInFlight).to.equal(MAX_IN_FLIGHT);

    webhook.answer = hang;
    const flood = Array.from({ length: MAX_IN_FLIGHT * 12 }, () => expectError(connectUrl()));
    const errors = (await Promise.all(flood)).map(({ code }) => code);
    expect(errors.filter((code) => code === 'auth_busy')).to.have.lengthOf(MAX_IN_FLIGHT);
    expect(errors.filter((code) => code === 'auth_timeout')).to.have.lengthOf(MAX_IN_FLIGHT * 11);
  });
});

function json(body: unknown): (response: ServerResponse) => void {
  return (response) => void response.end(JSON.stringify(body));
}

/** `{"user_id":"jörg"}` in Latin-1: read as UTF-8 it would be another user. */
function latin1(response: ServerResponse): void {
  response.end(Buffer.from('{"user_id":"j\xf6rg","channels":["news"]}', 'latin1'));
}

function gzip(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync('{"channels":["news"]}'));
}

function switchProtocols(response: ServerResponse): void {
  response.writeHead(101, { Connection: 'Upgrade', Upgrade: 'h2c' }).end();
}

function status403(response: ServerResponse): void {
  response.writeHead(403).end();
}

function redirect(response: ServerResponse): void {
  response.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end();
}

function truncate(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Length': 100 });
  response.write('{"channels":["news"]}', () => response.destroy());
}

function flood(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, ' ');
  const sendFlood = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', sendFlood);
  sendFlood();
}
