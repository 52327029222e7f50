import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { signatureOf } from '../../src/shared/crypto/signature.ts';
import { WebhookClient } from '../../src/webhook-sender/webhook-client.ts';

interface Received {
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe('WebhookClient', () => {
  const received: Received[] = [];
  let server: Server;
  let port = 0;

  before(async () => {
    server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      received.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
      if (request.url === '/hangs') return;
      if (request.url === '/redirects') response.setHeader('Location', '/accepted');
      const [, status] = /^\/(\d{3})$/.exec(request.url ?? '') ?? [];
      response.statusCode = request.url === '/redirects' ? 302 : Number(status ?? 200);
      if (request.url === '/floods') {
        for (let block = 0; block < 64; block += 1) response.write('x'.repeat(64 * 1024));
      }
      response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const deliver = (path: string, options: { allowPrivate?: boolean; host?: string } = {}): Promise<void> => {
    const { allowPrivate = true, host = '127.0.0.1' } = options;
    const delivery = new WebhookClient({ timeoutMs: 2_000, allowPrivate });
    return delivery.send({
      url: `http://${host}:${port}${path}`,
      key: 'k1',
      secret: 's3cr3t',
      body: '{"é":1}',
    });
  };

  const errorOf = (promise: Promise<void>): Promise<string> =>
    promise.then(
      () => 'none',
      (error: Error) => error.message,
    );

  it('sends a signed POST with exactly the headers that SDKs compare', async () => {
    await deliver('/accepted');
    const { path, headers, body } = received.at(-1) ?? { path: '', headers: {}, body: '' };
    expect(path).to.equal('/accepted');
    expect(headers['content-type']).to.equal('application/json');
    expect(headers['x-pusher-key']).to.equal('k1');
    expect(headers['x-pusher-signature']).to.equal(signatureOf('s3cr3t', '{"é":1}'));
    expect(body).to.equal('{"é":1}');
  });

  it('resolves with a 2xx status only', async () => {
    for (const path of ['/200', '/201', '/204']) expect(await errorOf(deliver(path)), path).to.equal('none');
    for (const path of ['/302', '/400', '/404', '/500', '/503']) {
      expect(await errorOf(deliver(path)), path).to.equal(`it answered ${path.slice(1)}`);
    }
  });

  it('delivers after more 101 responses than one app may have requests in flight', async () => {
    const delivery = new WebhookClient({ timeoutMs: 2_000, allowPrivate: true });
    const send = (path: string): Promise<void> =>
      delivery.send({ url: `http://127.0.0.1:${port}${path}`, key: 'k1', secret: 's', body: '{}' });
    const errors = await Promise.all(Array.from({ length: 30 }, () => errorOf(send('/101'))));
    expect(new Set(errors)).to.deep.equal(new Set(['it answered 101']));
    expect(await errorOf(send('/200'))).to.equal('none');
  });

  it('follows no redirect', async () => {
    const before = received.length;
    expect(await errorOf(deliver('/redirects'))).to.equal('it answered 302');
    expect(received.slice(before).map(({ path }) => path)).to.deep.equal(['/redirects']);
  });

  it('times out on a silent receiver, and does not read a long response to its end', async () => {
    expect(await errorOf(deliver('/hangs'))).to.equal('no answer in 2000 ms');
    expect(await errorOf(deliver('/floods'))).to.equal('none');
  });

  it('rejects private addresses in every notation', async () => {
    const before = received.length;
    for (const host of [
      '127.0.0.1',
      'localhost',
      '127.1',
      '0x7f000001',
      '2130706433',
      '[::1]',
      '[::ffff:7f00:1]',
    ]) {
      const error = await errorOf(deliver('/accepted', { allowPrivate: false, host }));
      expect(error, host).to.contain('private');
    }
    expect(received.length).to.equal(before);
  });

  it('states why a receiver is unreachable', async () => {
    const delivery = new WebhookClient({ timeoutMs: 2_000, allowPrivate: true });
    const request = { url: 'http://127.0.0.1:1/secret-path', key: 'k1', secret: 's', body: '{}' };
    expect(await errorOf(delivery.send(request))).to.equal('it could not be reached (ECONNREFUSED)');
  });
});
