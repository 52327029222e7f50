import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import type { App } from '../../../src/shared/apps/app.ts';
import type { GusherError } from '../../../src/shared/errors/catalogue.ts';
import type { Failure } from '../../../src/shared/logging/failure-log.ts';
import { HttpClient } from '../../../src/shared/net/http-client.ts';
import { HttpSink } from '../../../src/worker/remote/http-sink.ts';
import { within } from '../../support/deadline.ts';
import { WebhookServer } from '../../support/webhook-server.ts';

describe('HttpSink', () => {
  let backend: WebhookServer;
  let sink: HttpSink;
  let failures: Failure[];

  beforeEach(async () => {
    backend = await WebhookServer.start();
    failures = [];
    const client = new HttpClient({
      timeoutMs: 200,
      requestsMax: 8,
      requestsPerAppMax: 2,
      responseMaxBytes: 1_024,
      allowPrivate: true,
    });
    sink = new HttpSink({ client, failures: { note: (_event, failure) => void failures.push(failure) } });
  });

  afterEach(() => {
    sink.close();
    backend.stop();
  });

  function deliver(name = 'job'): Promise<string> {
    const app: App = { key: 'shop', enabled: true, remote_url: backend.url };
    const delivered = sink.deliver(app, name, '{}').then(
      () => 'delivered',
      (error: GusherError) => error.code,
    );
    return within(delivered, 'the end of the delivery');
  }

  const endings: readonly [what: string, answer: (response: ServerResponse) => void, reason: string][] = [
    [
      '101',
      (response) => response.writeHead(101, { Connection: 'Upgrade', Upgrade: 'h2c' }).end(),
      'unexpected_upgrade',
    ],
    ['503', (response) => response.writeHead(503).end(), 'status'],
    ['an incomplete response', (response) => response.write('x'), 'timeout'],
    ['a closed connection', (response) => response.destroy(), 'connection_closed'],
  ];
  for (const [what, answer, reason] of endings) {
    it(`rejects with remote_unavailable on ${what}, and delivers the next job`, async () => {
      backend.answer = answer;
      const outcomes = await Promise.all(Array.from({ length: 6 }, () => deliver()));
      expect(new Set(outcomes)).to.deep.equal(new Set(['remote_unavailable']));
      expect(failures[0]).to.include({ app: 'shop', code: 'remote_unavailable', reason });
      backend.answer = (response) => void response.end();
      expect(await deliver()).to.equal('delivered');
    });
  }

  it('rejects with remote_full when the queue of the app is full', async () => {
    backend.answer = () => undefined;
    const outcomes = await Promise.all(Array.from({ length: 25 }, () => deliver()));
    expect(outcomes.filter((one) => one === 'remote_full')).to.have.length(3);
  });

  it('delivers a job whose name has a lone surrogate', async () => {
    expect(await deliver('job\ud800')).to.equal('delivered');
  });
});
