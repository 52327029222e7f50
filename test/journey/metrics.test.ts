import { expect } from 'chai';
import { WebSocket } from 'ws';
import { METRICS } from '../../src/primary/metrics/catalogue.ts';
import { connectClient } from '../support/client.ts';
import { eventually, within } from '../support/deadline.ts';
import { type RunningGusher, startGusher } from '../support/gusher.ts';
import { sendRaw } from '../support/raw-http.ts';
import { type Scrape, scrape } from '../support/scrape.ts';

const NATIVE_CLIENTS = 30;
const PUSHER_CLIENTS = 6;
const EVENT = 'tick';
/** A killed worker loses the counts of its last 100 ms; a busy machine may delay its report. */
const LOST_MS = 500;

/** A subscriber of either protocol that records when it received each publication. */
class Counter {
  readonly socket: WebSocket;
  readonly ticks: number[] = [];
  readonly closed: Promise<number>;
  hasEnded = false;

  constructor(url: string) {
    this.socket = new WebSocket(url);
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code) => {
        this.hasEnded = true;
        resolve(code);
      });
    });
    this.socket.on('error', () => undefined);
  }

  async subscribe(command: string): Promise<this> {
    const subscribed = new Promise<void>((resolve) => {
      this.socket.on('message', (data) => {
        const { event } = JSON.parse(data.toString()) as { event: string };
        if (event === EVENT) this.ticks.push(performance.now());
        else if (/subscri\w+_succeeded$/.test(event)) resolve();
        else if (event === 'pusher:connection_established') this.socket.send(command);
      });
    });
    if (command.includes('gusher.')) this.socket.on('open', () => this.socket.send(command));
    await within(subscribed, 'a subscription');
    return this;
  }
}

describe('GET /metrics', () => {
  const counters: Counter[] = [];
  let gusher: RunningGusher;
  let published = 0;
  const token = 'a-token-of-16-characters';
  const scrapeNow = (): Promise<Scrape> => scrape(gusher.api, { Authorization: `Bearer ${token}` });

  before(async () => {
    gusher = await startGusher({
      workers: 2,
      env: { GUSHER_API_TOKEN: token, GUSHER_METRICS_APPS_MAX: '5' },
    });
    const native = '{"event":"gusher.subscribe","data":{"channel":"c"}}';
    const pusher = '{"event":"pusher:subscribe","data":{"channel":"c"}}';
    const opening: Promise<Counter>[] = [];
    for (let n = 0; n < NATIVE_CLIENTS; n += 1)
      opening.push(new Counter(gusher.clientUrl()).subscribe(native));
    for (let n = 0; n < PUSHER_CLIENTS; n += 1)
      opening.push(new Counter(`${gusher.url}/app/demo?protocol=7`).subscribe(pusher));
    counters.push(...(await Promise.all(opening)));
  });

  after(async () => {
    for (const { socket } of counters) socket.terminate();
    await gusher.stop();
  });

  const received = (): number => counters.reduce((sum, { ticks }) => sum + ticks.length, 0);
  const live = (): Counter[] => counters.filter(({ hasEnded }) => !hasEnded);

  async function publish(): Promise<void> {
    const response = await gusher.publish('c', EVENT, published);
    if (response.status === 200) published += 1;
  }

  async function expectEventually(check: (now: Scrape) => boolean, what: string): Promise<Scrape> {
    let latest = await scrapeNow();
    await eventually(async () => {
      latest = await scrapeNow();
      return check(latest);
    }, what);
    return latest;
  }

  it('returns the counts that the clients measured', async () => {
    for (let n = 0; n < 50; n += 1) await publish();
    const expected = 50 * counters.length;
    await eventually(() => received() === expected, 'all clients received everything');
    const now = await expectEventually(
      (latest) => latest.value('gusher_deliveries_total') === expected,
      'all deliveries are counted',
    );
    expect(now.value('gusher_connections', { protocol: 'gusher' })).to.equal(NATIVE_CLIENTS);
    expect(now.value('gusher_connections', { protocol: 'pusher' })).to.equal(PUSHER_CLIENTS);
    expect(now.value('gusher_subscriptions')).to.equal(counters.length);
    expect(now.value('gusher_channels')).to.equal(1);
    expect(now.value('gusher_publications_total', { source: 'api' })).to.equal(50);
    expect(now.sum('gusher_publications_received_total', { origin: 'host' })).to.equal(100);
    const observed = now.value('gusher_publish_to_write_seconds_count', { origin: 'host' });
    expect(observed, 'once per publication, worker and protocol').to.be.within(100, 200);
    expect(now.value('gusher_publish_to_write_seconds_sum', { origin: 'host' })).to.be.within(0.001, 60);
    expect(now.value('gusher_delivered_bytes_total')).to.be.greaterThan(expected * 40);
    expect(now.value('gusher_broker_up')).to.equal(1);
  });

  it('keeps the counts of a killed worker, and counts its connections as closed', async () => {
    const before = received();
    process.kill(gusher.workerPids[0] as number, 'SIGKILL');
    await eventually(() => live().length < counters.length, 'the clients of a worker are closed');
    const now = await expectEventually(
      (latest) => latest.sum('gusher_connections') === live().length,
      'the connections are gone',
    );
    const gone = counters.length - live().length;
    expect(now.value('gusher_deliveries_total')).to.equal(before);
    expect(now.value('gusher_closes_total', { by: 'worker', code: '1006' })).to.equal(gone);
    expect(now.sum('gusher_connections_opened_total') - now.sum('gusher_closes_total')).to.equal(
      live().length,
    );
    expect(now.value('gusher_worker_restarts_total', { reason: 'killed' })).to.equal(1);
  });

  it('loses only the last counts of a worker that is killed while it delivers', async () => {
    await eventually(() => gusher.workerPids.length === 3, 'the worker is replaced');
    const before = await scrapeNow();
    const stopAt = performance.now() + 700;
    const [, victim] = gusher.workerPids;
    setTimeout(() => process.kill(victim as number, 'SIGKILL'), 400);
    while (performance.now() < stopAt) await publish().catch(() => undefined);
    await eventually(() => live().length === 0, 'all old clients are closed');
    const now = await expectEventually(
      (latest) => latest.sum('gusher_closes_total', { by: 'worker' }) === counters.length,
      'the connections are gone',
    );
    const lastAt = Math.max(...counters.flatMap(({ ticks }) => ticks));
    const maxLost = counters.flatMap(({ ticks }) => ticks.filter((at) => at > lastAt - LOST_MS)).length;
    const deliveries = now.value('gusher_deliveries_total');
    expect(deliveries).to.be.greaterThan(before.value('gusher_deliveries_total'));
    // Bytes that the system accepted survive the process, even if the client has not received them yet.
    expect(deliveries).to.be.within(received() - maxLost, received());
    expect(now.sum('gusher_connections')).to.equal(0);
  });

  it('never decreases a counter', async () => {
    const first = await scrapeNow();
    const client = await connectClient(gusher.clientUrl());
    await client.request('gusher.subscribe', { channel: '' });
    await client.close();
    const last = await expectEventually(
      (latest) => latest.value('gusher_closes_total', { by: 'client', code: '1005' }) === 1,
      'the close is counted',
    );
    expect(last.value('gusher_errors_total', { place: 'command', code: 'bad_channel' })).to.equal(1);
    const counterNames = METRICS.filter(({ type }) => type === 'counter').map(({ name }) => name);
    for (const { name, labels, value } of first.samples) {
      if (counterNames.includes(name)) expect(last.value(name, labels), name).to.be.at.least(value);
    }
  });

  it('declares every metric of gusher that it returns', async () => {
    const { samples } = await scrapeNow();
    const declared = new Set(
      METRICS.flatMap(({ name, type }) =>
        type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name],
      ),
    );
    const names = samples.map(({ name }) => name).filter((name) => name.startsWith('gusher_'));
    expect(names.filter((name) => !declared.has(name))).to.deep.equal([]);
    expect(samples.some(({ name }) => name === 'process_resident_memory_bytes')).to.equal(true);
  });

  it('shares one collection among many scrapes', async () => {
    const texts = await Promise.all(Array.from({ length: 50 }, scrapeNow));
    // One per worker at most, and one more if the second ends.
    expect(new Set(texts.map(({ text }) => text)).size).to.be.at.most(3);
  });

  it('requires the token', async () => {
    expect((await fetch(`${gusher.api}/metrics`)).status).to.equal(401);
    const { text } = await scrapeNow();
    expect(text).not.to.contain(token);
  });

  it('returns OpenMetrics if the client accepts it, otherwise the text format', async () => {
    const get = (accept: string): Promise<Response> =>
      fetch(`${gusher.api}/metrics`, { headers: { Authorization: `Bearer ${token}`, Accept: accept } });
    const prometheus =
      'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
    const open = await get(prometheus);
    expect(open.headers.get('content-type')).to.match(/^application\/openmetrics-text; version=1\.0\.0/);
    expect(await open.text()).to.match(/\n# EOF\n$/);
    for (const accept of ['text/plain', '*/*', 'application/openmetrics-text;q=0']) {
      const plain = await get(accept);
      expect(plain.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/);
    }
  });

  it('counts by app', async () => {
    const client = await connectClient(gusher.clientUrl());
    await client.subscribe('c');
    await gusher.publish('c', EVENT, 1);
    await client.next();
    const now = await expectEventually(
      (latest) => latest.value('gusher_app_connections', { app: 'demo' }) === 1,
      'the connection of the app is counted',
    );
    expect(now.value('gusher_app_deliveries_total', { app: 'demo' })).to.be.greaterThan(published);
    expect(now.value('gusher_app_publications_total', { app: 'demo' })).to.be.greaterThan(50);
    await client.close();
  });

  it('counts rejected connects, also those that the primary rejects', async () => {
    await sendRaw(gusher.port, 'BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n');
    await eventually(async () => {
      const now = await scrapeNow();
      return now.value('gusher_errors_total', { place: 'connect', code: 'method_not_allowed' }) === 1;
    }, 'the error is counted');
  });
});
