import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { connectClient } from '../support/client.ts';
import { killRunningPrograms, Run } from '../support/command-line.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';

const TOKEN = 'a-token-of-some-length';
const TAILS_MAX = 8;

interface Entry {
  readonly type: string;
  readonly [field: string]: unknown;
}

describe('gusher tail', () => {
  let gusher: RunningGusher;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gusher-tail-'));
    gusher = await startGusher({ workers: 2, env: { GUSHER_API_TOKEN: TOKEN } });
  });
  after(async () => {
    killRunningPrograms();
    await gusher.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Starts a tail and waits until all workers send it entries. */
  async function tail(...words: string[]): Promise<Run> {
    const api = gusher.api.replace('http://', '');
    const run = new Run(['tail', '--api-listen', api, ...words], folder, { GUSHER_API_TOKEN: TOKEN });
    await eventually(() => run.errorLines.includes('waiting for events'), 'the tail is open');
    return run;
  }

  const entriesOf = (run: Run): Entry[] =>
    run.output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Entry);
  const has = (run: Run, matches: (entry: Entry) => boolean, what: string): Promise<void> =>
    eventually(() => entriesOf(run).some(matches), `a tail has ${what}`);

  it('prints the entries of all workers, without secrets', async () => {
    const run = await tail('--json');
    const clients = await Promise.all([1, 2, 3, 4].map(() => connectClient(gusher.clientUrl())));
    for (const client of clients) await client.subscribe('news');
    await gusher.publish('news', 'hello', { text: 'hi', token: 's3cr3t' });
    const delivered = (): Entry[] => entriesOf(run).filter(({ type }) => type === 'delivered');
    await eventually(
      () => delivered().reduce((sum, { subscribers }) => sum + Number(subscribers), 0) === clients.length,
      'a tail has all deliveries',
    );
    expect(new Set(delivered().map(({ worker }) => worker))).to.deep.equal(new Set([0, 1]));
    await has(run, ({ type, channel }) => type === 'published' && channel === 'news', 'the publication');
    await has(run, ({ type, connection }) => type === 'connected' && connection !== undefined, 'a connect');
    for (const client of clients) client.socket.close();
    await has(run, ({ type }) => type === 'disconnected', 'a disconnect');
    expect(run.output).to.contain('***');
    expect(run.output).not.to.contain('s3cr3t');
    run.signal('SIGINT');
    expect(await within(run.ended, 'the end of a tail')).to.equal(0);
  });

  it('prints rejected connects and requests with their code, never a token', async () => {
    const run = await tail('--json');
    await connectClient(gusher.clientUrl('nowhere', '?token=s3cr3t')).catch(() => undefined);
    await has(
      run,
      ({ action, code }) => action === 'connect' && code === 'unknown_app',
      'a rejected connect',
    );
    await fetch(`${gusher.api}/v1/stats`, { headers: { Authorization: 'Bearer s3cr3t' } });
    await has(
      run,
      ({ action, code }) => action === 'request' && code === 'unauthorized',
      'a rejected request',
    );
    expect(run.output).not.to.contain('s3cr3t');
    run.signal('SIGTERM');
    await within(run.ended, 'the end of a tail');
  });

  it('selects by app and channel, and prints text', async () => {
    const [one, other] = [await tail('--channel', 'orders*'), await tail('--app', 'elsewhere', '--json')];
    await gusher.publish('news', 'hello', 1);
    await gusher.publish('orders.7', 'paid', { evil: '\u001b[31m' });
    await eventually(() => one.output.includes('orders.7'), 'the tail of a channel has its publication');
    expect(one.output).to.match(/^\d\d:\d\d:\d\d\.\d{3} published {4}demo orders\.7 paid worker=|published/);
    expect(one.output).not.to.contain('news');
    expect(one.output.replaceAll('\n', '')).not.to.match(/\p{Cc}/u);
    expect(other.output).to.equal('');
    for (const run of [one, other]) run.signal('SIGINT');
    await Promise.all([one.ended, other.ended]);
  });

  it('survives the exit of a worker, and serves new workers', async () => {
    const run = await tail('--json');
    const [first] = gusher.workerPids;
    const [started] = [gusher.workerPids.length];
    if (first !== undefined) process.kill(first, 'SIGKILL');
    await eventually(() => gusher.workerPids.length > started, 'the worker is replaced');
    // The tail ends with the worker that served it, or continues on the other one.
    await eventually(async () => {
      await gusher.publish('again', 'x', 1).catch(() => undefined);
      return run.hasEnded || entriesOf(run).some(({ channel }) => channel === 'again');
    }, 'the tail continues, or has ended');
    if (run.hasEnded) expect(run.errors[0]).to.match(/closed the connection|aborted|ECONNRESET/);
    run.signal('SIGINT');
    await within(run.ended, 'the end of a tail');
  });

  it('is limited in number, and accepts another after one was closed', async () => {
    const open = (): Promise<Response> =>
      fetch(`${gusher.api}/v1/tail`, {
        headers: { Authorization: `Bearer ${TOKEN}` },
        signal: controller.signal,
      });
    const controller = new AbortController();
    await eventually(
      async () => {
        const response = await open();
        if (response.status === 200) return false;
        expect(response.status).to.equal(429);
        expect(await response.json()).to.have.nested.property('error.code', 'too_many_tails');
        return true;
      },
      `tail ${TAILS_MAX + 1} is rejected`,
    );
    controller.abort();
    await eventually(async () => {
      const response = await fetch(`${gusher.api}/v1/tail?seconds=1`, {
        headers: { Authorization: `Bearer ${TOKEN}` },
      });
      await response.text();
      return response.status === 200;
    }, 'a tail opens again');
  });

  it('counts the entries that a slow reader misses, without delaying other clients', async () => {
    const { hostname, port } = new URL(gusher.api);
    const socket = connect(Number(port), hostname);
    socket.write(`GET /v1/tail?data=10000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
    await within(new Promise((resolve) => socket.once('data', resolve)), 'the head of a tail');
    socket.pause();
    const text = 'x'.repeat(9_000);
    for (let round = 0; round < 150; round += 1) {
      await Promise.all(Array.from({ length: 10 }, () => gusher.publish('load', 'x', text)));
    }
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    socket.resume();
    await eventually(async () => {
      await gusher.publish('load', 'x', 'end');
      return /"type":"dropped","count":\d/.test(received);
    }, 'the tail has the number of dropped entries');
    socket.destroy();
  });

  it('needs the API token, and rejects a malformed query', async () => {
    expect((await fetch(`${gusher.api}/v1/tail`)).status).to.equal(401);
    for (const query of ['app=', 'data=-1', 'data=10001', 'seconds=0', `user=${'u'.repeat(257)}`]) {
      const response = await fetch(`${gusher.api}/v1/tail?${query}`, {
        headers: { Authorization: `Bearer ${TOKEN}` },
      });
      expect(response.status, query).to.equal(400);
    }
    const head = await fetch(`${gusher.api}/v1/tail`, {
      method: 'HEAD',
      headers: { Authorization: `Bearer ${TOKEN}` },
    });
    expect(head.headers.get('content-type')).to.contain('application/x-ndjson');
  });

  it('ends when gusher stops', async () => {
    const own = await startGusher({ workers: 1 });
    const run = new Run(['tail', '--api-listen', own.api.replace('http://', '')], folder);
    await eventually(() => run.errorLines.includes('waiting'), 'the tail is open');
    expect(await own.stop()).to.equal(0);
    expect(await within(run.ended, 'the end of a tail')).to.equal(1);
    expect(run.errors[0]).to.contain('closed the connection');
  });
});
