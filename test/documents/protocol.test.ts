import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { expect } from 'chai';
import { type Client, connectClient } from '../support/client.ts';
import { within } from '../support/deadline.ts';
import { readExamples, type Step } from '../support/examples.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { sendRaw } from '../support/raw-http.ts';
import { RedisServer } from '../support/redis-server.ts';

const MESSAGE_MAX_BYTES = 65_536;
const PING = '{"event":"gusher.ping"}';

/** The configuration that the document states for its examples. */
const PROTOCOL_ERRORS_PER_MINUTE = '3';
const TICKET = 'ticket-of-ann';
const WEBHOOK_ANSWER = '{"user_id":"ann","channels":["orders","app*"],"remotes":{"ship":true}}';

describe('PROTOCOL.md', () => {
  const examples = readExamples('PROTOCOL.md');
  let redis: RedisServer;
  let webhook: Server;
  let gusher: RunningGusher;

  before(async () => {
    redis = await RedisServer.start();
    webhook = await startWebhook();
    const url = `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/auth`;
    await redis.command('HSET', 'demo', 'channels', '*');
    await redis.command('HSET', 'shop', 'url', url);
    gusher = await startGusher({
      workers: 2,
      redisUrl: redis.url,
      env: { GUSHER_PROTOCOL_ERRORS_PER_MINUTE: PROTOCOL_ERRORS_PER_MINUTE },
    });
  });

  after(async () => {
    await gusher.stop();
    webhook.close();
    await redis.stop();
  });

  it('has examples', () => {
    expect(examples.length).to.be.greaterThan(15);
  });

  for (const { name, steps } of examples) {
    it(`matches the server: ${name}`, () => play(steps));
  }

  it('states the maximum message size', async () => {
    const client = await connectClient(gusher.clientUrl());
    client.socket.send(PING.padStart(MESSAGE_MAX_BYTES));
    expect((await client.next()).event).to.equal('gusher.pong_succeeded');
    client.socket.send(PING.padStart(MESSAGE_MAX_BYTES + 1));
    expect((await within(client.closed, 'a close')).code).to.equal(1009);
  });

  /** Runs an example with its own client. */
  async function play(steps: readonly Step[]): Promise<void> {
    let client: Client | undefined;
    let socketId: string | undefined;
    const present = async (): Promise<Client> => {
      client ??= await connectClient(gusher.clientUrl());
      return client;
    };
    for (const step of steps) {
      switch (step.kind) {
        case 'connect':
          if (step.answer.status === 101) client = await connectClient(gusher.url + step.target);
          else await expectError(step.target, step.answer);
          break;
        case 'send':
          (await present()).socket.send(step.isBinary ? Buffer.from(step.text, 'utf16le') : step.text);
          break;
        case 'receive': {
          const got = await (await present()).nextText();
          socketId ??= /"socket_id":"([\w-]{20})"/.exec(got)?.[1];
          expect(got).to.equal(filled(step.text, got, socketId));
          break;
        }
        case 'closed':
          expect(await within((await present()).closed, 'a close')).to.deep.equal({
            code: step.code,
            reason: step.reason,
          });
          break;
        case 'request': {
          const path = step.path.replace('{socket_id}', socketId ?? '');
          const answer = await fetch(gusher.api + path, { method: step.method, body: step.body });
          const body = await answer.text();
          expect({ status: answer.status, body }).to.deep.equal({
            status: step.answer.status,
            body: filled(step.answer.body, body, socketId),
          });
          break;
        }
        case 'publish':
          await redis.command('PUBLISH', step.channel, step.text);
          break;
        default:
          step satisfies never;
      }
    }
    expect(client?.unread ?? 0, 'frames that the example does not show').to.equal(0);
    await client?.close();
  }

  async function expectError(target: string, expected: { status: number; body: string }): Promise<void> {
    const { status, body } = await sendRaw(
      gusher.port,
      `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    expect({ status, body }).to.deep.equal(expected);
  }
});

/** Fills in the placeholders: the socket id, and the time, which must be the current one. */
function filled(text: string, got: string, socketId = ''): string {
  const time = /"time":(\d+)/.exec(got)?.[1] ?? '';
  if (text.includes('{time}')) expect(Number(time)).to.be.closeTo(Date.now() / 1_000, 60);
  return text.replaceAll('{socket_id}', socketId).replaceAll('{time}', time);
}

/** The auth webhook of the examples; it accepts one ticket. */
async function startWebhook(): Promise<Server> {
  const server = createServer((request, response) => {
    void textOf(request).then((body) => {
      const { auth } = Object.fromEntries(new URLSearchParams(body));
      response.statusCode = auth === TICKET ? 200 : 403;
      response.end(auth === TICKET ? WEBHOOK_ANSWER : '');
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}
