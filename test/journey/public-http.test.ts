import { expect } from 'chai';
import { within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { AppsFile, PUSHER_APP } from '../support/pusher-app.ts';
import { handshake, RawSocket } from '../support/raw-socket.ts';

const CLOSE = 'Host: x\r\nConnection: close\r\n';

describe('HTTP on the public port and the API port', () => {
  let gusher: RunningGusher;
  let apps: AppsFile;
  let ports: readonly number[];

  before(async () => {
    apps = new AppsFile({ id: 'app-id' }, { demo: { channels: ['*'] } });
    gusher = await startGusher({
      workers: 1,
      env: { GUSHER_APPS_FILE: apps.path, GUSHER_HEADERS_TIMEOUT_MS: '1500', GUSHER_COMPRESSION: 'true' },
    });
    ports = [gusher.port, Number(new URL(gusher.api).port)];
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
    expect(gusher.logs.filter(({ level }) => level === 'error' || level === 'fatal')).to.deep.equal([]);
    apps.remove();
  });

  async function send(port: number, ...parts: (string | Buffer)[]): Promise<string> {
    const raw = await RawSocket.connect(port);
    for (const part of parts) raw.send(part);
    return raw.answer();
  }

  /** Returns status line and body, which must be equal on both ports. */
  async function sendToBoth(text: string): Promise<{ status: number; head: string; body: string }> {
    const answers = await Promise.all(ports.map((port) => send(port, text)));
    const [one, other] = answers.map((answer) => {
      const end = answer.indexOf('\r\n\r\n');
      const head = answer.slice(0, end);
      return { status: Number(head.split(' ')[1]), head, body: answer.slice(end + 4) };
    });
    expect({ ...one, head: '' }, text).to.deep.equal({ ...other, head: '' });
    return one as { status: number; head: string; body: string };
  }

  for (const upgrade of ['h2c', 'TLS/1.0', 'h2c, websocket', 'HTTP/3.0, foo', 'websocket']) {
    it(`responds to a request with Upgrade: ${upgrade} (RFC 9110 §7.8)`, async () => {
      const offer = `Host: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABk\r\n`;
      expect((await sendToBoth(`GET /up HTTP/1.1\r\n${offer}\r\n`)).body).to.equal('{"status":"ok"}');
      const body = await sendToBoth(
        `POST /apps/app-id/events HTTP/1.1\r\n${offer}Content-Length: 2\r\n\r\n{}`,
      );
      expect(body.status).to.equal(401);
    });
  }

  it('ignores an upgrade in HTTP/1.0, and accepts websocket within a list', async () => {
    const old = handshake('/ws/demo').replace('HTTP/1.1', 'HTTP/1.0');
    expect(await send(gusher.port, old)).to.match(/^HTTP\/1\.1 426 /);
    const raw = await RawSocket.connect(gusher.port);
    raw.send(
      handshake('/ws/demo', 'Sec-WebSocket-Protocol:').replace(
        'Upgrade: websocket',
        'Upgrade: foo, websocket',
      ),
    );
    raw.socket.once('data', () => raw.socket.destroy());
    expect(await raw.answer()).to.match(/^HTTP\/1\.1 101 /);
  });

  it('accepts the second extension offer if the first is unknown (RFC 7692 §5)', async () => {
    const raw = await RawSocket.connect(gusher.port);
    raw.send(handshake('/ws/demo', 'Sec-WebSocket-Extensions: permessage-deflate; foo, permessage-deflate'));
    raw.socket.once('data', () => raw.socket.destroy());
    expect(await raw.answer()).to.match(
      /^HTTP\/1\.1 101 [\s\S]*\r\nSec-WebSocket-Extensions: permessage-deflate\r\n/,
    );
  });

  it('serves several requests on a connection, then a WebSocket', async () => {
    const raw = await RawSocket.connect(gusher.port);
    raw.send('GET /ping HTTP/1.1\r\nHost: x\r\n\r\n');
    await within(until(raw, 'pong'), 'the first answer');
    raw.send('POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
    await within(until(raw, 'not_found'), 'the second answer');
    raw.send(handshake('/ws/demo'));
    await within(until(raw, '101 Switching'), 'the handshake');
    raw.socket.destroy();
  });

  for (const [what, second, expected] of [
    [
      'a body that is announced as too long',
      'POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n',
      'body_too_large',
    ],
    ['a body of a GET', 'GET /up HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx', 'body_not_allowed'],
    [
      'two ways to frame a body',
      'POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      'bad_request',
    ],
    ['two hosts', 'GET /up HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', 'bad_request'],
    ['a WebSocket with two hosts', handshake('/ws/demo', 'Host: y'), 'bad_request'],
    [
      'a head that is too long',
      `GET /up HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`,
      'headers_too_large',
    ],
    ['incomplete headers', 'GET /up HTTP/1.1\r\nHost: x\r\n', 'request_timeout'],
    [
      'a chunk that is none',
      'POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      'bad_request',
    ],
  ] as const) {
    it(`applies the same checks to a later request: ${what}`, async () => {
      const raw = await RawSocket.connect(gusher.port);
      raw.send('GET /ping HTTP/1.1\r\nHost: x\r\n\r\n');
      await within(until(raw, 'pong'), 'the first answer');
      raw.send(second);
      expect(await raw.answer()).to.contain(`"code":"${expected}"`);
    });
  }

  it('accepts absolute targets and uses their authority instead of Host (RFC 9112 §3.2.2)', async () => {
    const { body } = await sendToBoth(`GET http://shop.example:80/up?x HTTP/1.1\r\n${CLOSE}\r\n`);
    expect(body).to.equal('{"status":"ok"}');
    const raw = await RawSocket.connect(gusher.port);
    raw.send(handshake('http://shop.example/ws/demo'));
    await within(until(raw, '101 Switching'), 'the handshake');
    raw.socket.destroy();
  });

  it('sends 405 with the allowed methods (RFC 9110 §15.5.6), and 404 for unknown paths', async () => {
    expect((await sendToBoth(`POST /up HTTP/1.1\r\n${CLOSE}Content-Length: 1\r\n\r\nx`)).head).to.match(
      /\r\nAllow: GET, HEAD\r\n/,
    );
    expect((await sendToBoth(`TRACE /up HTTP/1.1\r\n${CLOSE}\r\n`)).status).to.equal(405);
    expect((await sendToBoth(`PUT /what HTTP/1.1\r\n${CLOSE}\r\n`)).status).to.equal(404);
    expect(await send(gusher.port, `DELETE /app/x HTTP/1.1\r\n${CLOSE}\r\n`)).to.match(
      /^HTTP\/1\.1 405 [\s\S]*\r\nAllow: GET, HEAD\r\n/,
    );
  });

  it('sends errors in the format of the path, from every part of gusher', async () => {
    const large = await sendToBoth(
      `POST /apps/app-id/events HTTP/1.1\r\n${CLOSE}Content-Length: 99999999\r\n\r\n`,
    );
    expect(large.status).to.equal(413);
    expect(JSON.parse(large.body)).to.have.all.keys('error', 'code');
    const other = await sendToBoth(`POST /v1/auth/x HTTP/1.1\r\n${CLOSE}Content-Length: 99999999\r\n\r\n`);
    expect(JSON.parse(other.body).error).to.have.all.keys('code', 'message');
  });

  it('reports its state to load balancers, and nothing else', async () => {
    for (const path of ['/', '/up', '/healthz']) {
      expect((await sendToBoth(`GET ${path} HTTP/1.1\r\n${CLOSE}\r\n`)).body, path).to.equal(
        '{"status":"ok"}',
      );
    }
    // The API port also reports the latency of the broker, once it is measured.
    const text = await send(gusher.port, `GET /readyz HTTP/1.1\r\n${CLOSE}\r\n`);
    expect(text.split('\r\n\r\n')[1]).to.equal('{"status":"ready"}');
  });

  it('serves 32 pipelined requests', async () => {
    const upRequests = 'GET /up HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(31);
    const pipeline = `${upRequests}GET /up HTTP/1.1\r\n${CLOSE}\r\n`;
    for (const port of ports) {
      expect((await send(port, pipeline)).match(/HTTP\/1\.1 200 OK/g)).to.have.lengthOf(32);
    }
  });

  it('closes a connection that pipelines too many requests, and serves the others', async () => {
    for (const port of ports) await send(port, 'GET /up HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50_000));
    expect((await sendToBoth(`GET /up HTTP/1.1\r\n${CLOSE}\r\n`)).status).to.equal(200);
  });

  it('logs no error if a client disconnects within a body', async () => {
    for (const port of ports) {
      for (const before of ['', 'GET /up HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3)]) {
        for (const path of ['/v1/apps/demo/channels/c/messages', '/v1/auth', '/apps/app-id/events']) {
          const raw = await RawSocket.connect(port);
          raw.send(`${before}POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{"event"`);
          await new Promise((resolve) => raw.socket.write('', resolve));
          raw.socket.resetAndDestroy();
        }
      }
    }
    expect((await sendToBoth(`GET /up HTTP/1.1\r\n${CLOSE}\r\n`)).status).to.equal(200);
  });

  it('serves the path of an app whose id is a name', async () => {
    const { key } = PUSHER_APP;
    const text = await send(
      gusher.port,
      `GET /apps/app-id/channels?auth_key=${key} HTTP/1.1\r\n${CLOSE}\r\n`,
    );
    expect(text).to.contain('"code":"bad_auth_version"');
  });
});

async function until(raw: RawSocket, text: string): Promise<void> {
  while (!raw.received.includes(text)) {
    await new Promise((resolve) => raw.socket.once('data', resolve));
  }
}
