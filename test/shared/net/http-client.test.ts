import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { HttpClient, HttpRequestError } from '../../../src/shared/net/http-client.ts';
import { eventually, within } from '../../support/deadline.ts';
import { selfSigned } from '../../support/self-signed.ts';

const TIMEOUT_MS = 150;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}';

/** What a receiver does with a connection on which a whole request has arrived. */
type Behaviour = (socket: Socket) => void;

const write =
  (bytes: string | Buffer): Behaviour =>
  (socket) =>
    void socket.write(bytes, 'latin1');
const writeAndEnd =
  (bytes: string): Behaviour =>
  (socket) =>
    void socket.end(bytes, 'latin1');
const writeAndReset =
  (bytes: string): Behaviour =>
  (socket) =>
    void socket.write(bytes, 'latin1', () => socket.resetAndDestroy());

function drip(head: string): Behaviour {
  return (socket) => {
    socket.write(head);
    const timer = setInterval(() => socket.write('x'), 10);
    socket.once('close', () => clearInterval(timer));
  };
}

function repeat(bytes: string): Behaviour {
  return (socket) => {
    const timer = setInterval(() => socket.write(bytes), 1);
    socket.once('close', () => clearInterval(timer));
  };
}

/** Every way in which a request can end: what the receiver does, and the outcome that the client reports. */
const ENDINGS: readonly [what: string, behaviour: Behaviour, outcome: string][] = [
  ['a response', write(OK), '200'],
  ['100, then a response', write(`HTTP/1.1 100 Continue\r\n\r\n${OK}`), '200'],
  ['102 twice, then a response', write(`${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(2)}${OK}`), '200'],
  ['103, then a response', write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`), '200'],
  [
    '103 a hundred times, then a response',
    write(`${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100)}${OK}`),
    '200',
  ],
  [
    '103 without end',
    repeat('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(10)),
    'response_too_large',
  ],
  ['100, then silence', write('HTTP/1.1 100 Continue\r\n\r\n'), 'timeout'],
  ['102, then silence', write('HTTP/1.1 102 Processing\r\n\r\n'), 'timeout'],
  ['103, then the end', writeAndEnd('HTTP/1.1 103 Early Hints\r\n\r\n'), 'connection_closed'],
  [
    '101',
    write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'),
    'unexpected_upgrade',
  ],
  ['101 without the fields', write('HTTP/1.1 101 Switching Protocols\r\n\r\n'), 'unexpected_upgrade'],
  [
    'a response that names an upgrade',
    write('HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}'),
    '200',
  ],
  [
    'trailers',
    write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n'),
    '200',
  ],
  [
    'trailers without end',
    write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n'),
    'timeout',
  ],
  ['a body that ends with the connection', writeAndEnd('HTTP/1.1 200 OK\r\n\r\n{}'), '200'],
  ['no end of the body', write('HTTP/1.1 200 OK\r\n\r\n{}'), 'timeout'],
  ['less than the length', write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}'), 'timeout'],
  [
    'less than the length, then the end',
    writeAndEnd('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}'),
    'connection_closed',
  ],
  ['more than the length', write(`${OK}surplus`), '200'],
  [
    'a length that is no number',
    write('HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}'),
    'malformed_response',
  ],
  [
    'two lengths',
    write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'),
    'malformed_response',
  ],
  [
    'a chunk size that is no number',
    write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'),
    'malformed_response',
  ],
  [
    'a chunked body cut off',
    writeAndEnd('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}'),
    'connection_closed',
  ],
  ['a head too large', write(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`), 'malformed_response'],
  [
    'a body too large',
    write(`HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n${'x'.repeat(9_999)}`),
    'response_too_large',
  ],
  [
    'gzip',
    write(
      Buffer.concat([
        Buffer.from('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n'),
        gzipSync('{}'),
      ]),
    ),
    'encoded_response',
  ],
  ['a slow drip of a body', drip('HTTP/1.1 200 OK\r\n\r\n'), 'timeout'],
  ['a slow drip of a head', drip('HTTP/1.1 200 OK\r\nX: '), 'timeout'],
  [
    'a redirect',
    write('HTTP/1.1 307 Temporary Redirect\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n'),
    '307',
  ],
  ['204', write('HTTP/1.1 204 No Content\r\n\r\n'), '204'],
  ['another protocol', write('SSH-2.0-OpenSSH_9.6\r\n'), 'malformed_response'],
  ['HTTP/2', write(Buffer.from('000012040000000000', 'hex')), 'malformed_response'],
  ['nothing', () => undefined, 'timeout'],
  ['the end before the head', writeAndEnd(''), 'connection_closed'],
  ['the end within the head', writeAndEnd('HTTP/1.1 200 OK\r\nContent-'), 'connection_closed'],
  ['a reset before the head', writeAndReset(''), 'connection_closed'],
  ['a reset within the head', writeAndReset('HTTP/1.1 200 OK\r\nContent-'), 'connection_closed'],
  [
    'a reset within the body',
    writeAndReset('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}'),
    'connection_closed',
  ],
];

describe('HttpClient', () => {
  let behaviour: Behaviour;
  let server: Server;
  let port: number;
  const sockets = new Set<Socket>();

  before(async () => {
    server = createServer((socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => undefined);
      let head = '';
      socket.on('data', (chunk: Buffer) => {
        head += chunk.toString('latin1');
        if (!head.endsWith('auth=t0ken')) return;
        head = '';
        behaviour(socket);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = portOf(server);
  });

  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  let client: HttpClient;
  afterEach(() => client.close());

  function open(
    options: { requestsMax?: number; requestsPerAppMax?: number; timeoutMs?: number } = {},
  ): HttpClient {
    client = new HttpClient({
      timeoutMs: TIMEOUT_MS,
      requestsMax: 64,
      requestsPerAppMax: 2,
      responseMaxBytes: 1_024,
      allowPrivate: true,
      ...options,
    });
    return client;
  }

  async function outcomeOf(
    url = `http://127.0.0.1:${port}/`,
    options: { app?: string; isRepeatable?: boolean } = {},
  ): Promise<string> {
    const { app = 'shop', isRepeatable = true } = options;
    const sent = client.send({ app, url, body: 'auth=t0ken', isRepeatable });
    try {
      return String((await within(sent, 'the end of a request')).status);
    } catch (error) {
      if (!(error instanceof HttpRequestError)) throw error;
      expect(`${error.message} ${error.stack}`).not.to.contain('t0ken').and.not.to.contain(url);
      return error.reason;
    }
  }

  for (const [what, does, outcome] of ENDINGS) {
    it(`settles with ${outcome} and returns the slot when the receiver sends ${what}`, async () => {
      open();
      behaviour = does;
      // One more than there are slots: the last one starts only if a slot was returned.
      const outcomes = await Promise.all([1, 2].map(() => outcomeOf()));
      outcomes.push(await outcomeOf());
      expect(outcomes).to.deep.equal([outcome, outcome, outcome]);
      behaviour = write(OK);
      expect(await Promise.all([1, 2, 3, 4].map(() => outcomeOf()))).to.deep.equal([
        '200',
        '200',
        '200',
        '200',
      ]);
    });
  }

  for (const [what, url, outcome] of [
    ['a refused connection', 'http://127.0.0.1:1/secret', 'unreachable'],
    ['a name that does not exist', 'http://nothing.invalid/secret', 'unreachable'],
    ['a literal that is no address', 'http://[::1%25eth0]/', 'unreachable'],
  ] as const) {
    it(`settles with ${outcome} at ${what}`, async () => {
      open({ timeoutMs: 5_000 });
      expect(await Promise.all([1, 2, 3].map(() => outcomeOf(url)))).to.deep.equal([
        outcome,
        outcome,
        outcome,
      ]);
    });
  }

  it('settles when TLS is spoken to a plain port, and when the certificate is not trusted', async () => {
    const secure = createTlsServer(selfSigned(), (socket) => void socket.on('error', () => undefined));
    secure.on('tlsClientError', () => undefined);
    secure.listen(0, '127.0.0.1');
    await once(secure, 'listening');
    const plain = createHttpServer();
    plain.on('clientError', (_error, socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    open({ timeoutMs: 2_000 });
    expect(await outcomeOf(`https://127.0.0.1:${portOf(plain)}/`)).to.equal('unreachable');
    expect(await outcomeOf(`https://127.0.0.1:${portOf(secure)}/`)).to.equal('unreachable');
    expect(await outcomeOf(`http://127.0.0.1:${portOf(secure)}/`)).to.be.oneOf([
      'connection_closed',
      'malformed_response',
    ]);
    secure.close();
    plain.close();
  });

  it('sends again when a kept connection was closed, but never a request that is not repeatable', async () => {
    open();
    let requests = 0;
    behaviour = (socket) => {
      requests += 1;
      // The second request on a connection finds it closed.
      if (socket.listenerCount('again') > 0) socket.destroy();
      else socket.once('again', () => undefined).write(OK);
    };
    expect(await outcomeOf()).to.equal('200');
    expect(await outcomeOf()).to.equal('200');
    expect(requests).to.equal(3);
    requests = 0;
    for (let n = 0; n < 3; n += 1)
      expect(await outcomeOf(undefined, { isRepeatable: false })).to.equal('200');
    expect(requests).to.equal(3);
  });

  it('serves another app at once while the receivers of several apps do not respond', async () => {
    open({ requestsMax: 16, requestsPerAppMax: 4, timeoutMs: 1_000 });
    behaviour = () => undefined;
    const earlier = sockets.size;
    const silent = ['a', 'b', 'c', 'd'].map((app) =>
      Promise.all(Array.from({ length: 8 }, () => outcomeOf(undefined, { app }))),
    );
    await eventually(() => sockets.size - earlier === 14, 'the slots of the silent apps are in use');
    behaviour = write(OK);
    const since = performance.now();
    expect(await outcomeOf(undefined, { app: 'quick' })).to.equal('200');
    expect(performance.now() - since).to.be.lessThan(500);
    client.close();
    expect(new Set((await Promise.all(silent)).flat()))
      .to.include('closed')
      .and.not.include('timeout');
  });

  it('rejects with busy when the queue of the app is full, and other apps are not affected', async () => {
    open({ requestsMax: 8, requestsPerAppMax: 1 });
    behaviour = () => undefined;
    const outcomes = await Promise.all(Array.from({ length: 14 }, () => outcomeOf()));
    expect(outcomes.filter((one) => one === 'busy')).to.have.length(3);
    expect(outcomes.filter((one) => one === 'timeout')).to.have.length(11);
    behaviour = write(OK);
    expect(await outcomeOf(undefined, { app: 'other' })).to.equal('200');
  });
});

function portOf(server: { address(): AddressInfo | string | null }): number {
  return (server.address() as AddressInfo).port;
}
