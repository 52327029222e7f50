import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { eventually } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { socketCount } from '../support/processes.ts';
import { handshake, RawSocket, readErrorResponse } from '../support/raw-socket.ts';

const TLS_HELLO = Buffer.from('16030100c8010000c40303', 'hex');
const ROUNDS = 30;

describe('Hostile bytes on the public port', () => {
  let gusher: RunningGusher;
  let atFirst: number[];

  before(async () => {
    gusher = await startGusher({ workers: 2, env: { GUSHER_HEADERS_TIMEOUT_MS: '1500' } });
    // The first client makes the process open descriptors that it keeps.
    for (let count = 0; count < 4; count += 1) await (await connectClient(gusher.clientUrl())).close();
    atFirst = counts();
  });

  afterEach(async () => {
    const client = await connectClient(gusher.clientUrl());
    expect((await client.request('gusher.ping')).event).to.equal('gusher.pong_succeeded');
    await client.close();
    await eventually(() => counts().every((count, at) => count <= (atFirst[at] ?? 0)), 'nothing has leaked');
    expect(gusher.workerPids).to.have.lengthOf(2);
    expect(gusher.process.exitCode).to.equal(null);
  });

  after(async () => {
    expect(await gusher.stop()).to.equal(0);
    expect(gusher.logs.filter(({ level }) => level === 'error' || level === 'fatal')).to.deep.equal([]);
  });

  const counts = (): number[] => [gusher.process.pid ?? 0, ...gusher.workerPids].map(socketCount);

  for (const [what, bytes, status, code] of [
    [
      'a POST',
      'POST /ws/demo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello',
      405,
      'method_not_allowed',
    ],
    ['a GET with a body', 'GET /ws/demo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello', 400, 'body_not_allowed'],
    ['a chunked GET', 'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', 400, 'body_not_allowed'],
    ['endless headers', `GET /${'x'.repeat(20_000)}`, 431, 'headers_too_large'],
    [
      'a large head',
      `${handshake('/ws/demo').slice(0, -2)}X: ${'x'.repeat(9_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    ['headers that stop arriving', 'GET /ws/demo HTTP/1.1\r\nHost', 408, 'request_timeout'],
    ['a line that ends with LF only', 'GET / HTTP/1.1\nContent-Length: 5\r\n\r\n', 400, 'bad_request'],
    ['a TLS hello', TLS_HELLO, 400, 'bad_request'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 405, 'method_not_allowed'],
    ['a Redis command', '*1\r\n$4\r\nPING\r\n', 400, 'bad_request'],
    ['an invalid HTTP version', 'GET / HTTP/9.9\r\nHost: x\r\n\r\n', 400, 'bad_request'],
    [
      'a request for something else',
      'GET /favicon.ico HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      404,
      'not_found',
    ],
    ['no upgrade', 'GET /ws/demo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 426, 'upgrade_required'],
    [
      'an older WebSocket',
      handshake('/ws/demo').replace('Version: 13', 'Version: 8'),
      426,
      'upgrade_required',
    ],
    ['an unknown app', handshake('/ws/unknown-app'), 401, 'unknown_app'],
    ['invalid headers', 'GET / HTTP/1.1\r\n: \0\x01\r\n\r\n', 400, 'bad_request'],
    [
      'a second request behind the first',
      'GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /ws/demo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      404,
      'not_found',
    ],
  ] as const) {
    it(`get ${status} ${code}: ${what}`, async () => {
      const raw = await RawSocket.connect(gusher.port);
      raw.send(bytes);
      expect(readErrorResponse(await raw.answer())).to.deep.equal({ status, code });
    });
  }

  for (const [what, bytes] of [
    ['no upgrade', 'GET /ws/demo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
    ['an older WebSocket', handshake('/ws/demo').replace('Version: 13', 'Version: 8')],
  ] as const) {
    it(`get the supported WebSocket version (RFC 6455 §4.4): ${what}`, async () => {
      const raw = await RawSocket.connect(gusher.port);
      raw.send(bytes);
      expect(await raw.answer()).to.match(/^Sec-WebSocket-Version: 13\r$/m);
    });
  }

  it('get an error if the client half-closes within the headers', async () => {
    const raw = await RawSocket.connect(gusher.port);
    raw.socket.end('GET /ws/demo HTTP/1.1\r\nHost');
    expect(readErrorResponse(await raw.answer())).to.deep.equal({ status: 400, code: 'bad_request' });
  });

  it('do not affect other clients: a POST whose client disconnects at once', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const raw = await RawSocket.connect(gusher.port);
      raw.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello');
      if (round % 2 === 0) raw.socket.resetAndDestroy();
      else raw.socket.destroy();
    }
  });

  it('do not affect other clients: a handshake whose client disconnects at once', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const raw = await RawSocket.connect(gusher.port);
      raw.send(handshake('/ws/demo').slice(0, round % 3 === 0 ? -10 : undefined));
      if (round % 2 === 0) raw.socket.resetAndDestroy();
      else raw.socket.destroy();
    }
  });

  it('close only the connection that sends random bytes, before or after a handshake', async () => {
    const plain = await Promise.all(Array.from({ length: ROUNDS }, () => RawSocket.connect(gusher.port)));
    for (const raw of plain) raw.send(randomBytes(2_000));
    const upgraded = await Promise.all(Array.from({ length: ROUNDS }, () => RawSocket.connect(gusher.port)));
    for (const raw of upgraded) {
      // The data starts with an unmasked frame with reserved bits, so that none is a valid frame.
      raw.send(Buffer.concat([Buffer.from(handshake('/ws/demo')), Buffer.from([0xf1]), randomBytes(2_000)]));
    }
    for (const raw of [...plain, ...upgraded]) await raw.answer();
  });
});
