import { expect } from 'chai';
import { METRICS } from '../../../src/primary/metrics/catalogue.ts';
import type { PrimaryState } from '../../../src/primary/metrics/metric.ts';
import { Metrics } from '../../../src/primary/metrics/metrics.ts';
import type { ToWorker } from '../../../src/shared/ipc/messages.ts';
import { createStats, type Stats } from '../../../src/shared/metrics/stats.ts';
import { within } from '../../support/deadline.ts';
import { Scrape } from '../../support/scrape.ts';

const GAUGES = {
  loopUtilization: 0,
  loopDelay: { p50: 0, p99: 0, max: 0 },
  memory: { rss: 1, heapUsed: 1, heapTotal: 1, external: 1 },
  openFiles: 3,
};
const WORKER_GAUGES = { ...GAUGES, brokerUp: 1, brokerRoundTrip: 0.001, sendBufferBytes: 5 };

const primaryState = async (): Promise<PrimaryState> => ({
  gauges: GAUGES,
  openFilesLimit: 10,
  pendingSockets: { head: 0, worker: 0, close: 0 },
  names: { bytes: 0, maxBytes: 1 },
  presence: { apps: 0, channels: 0, users: 0 },
  publicationsDropped: 0,
  workers: { ready: 2 },
  workerRestarts: {},
  eventWebhooks: { delivered: 0, retried: 0, discarded: 0, dropped: 0 },
  eventWebhooksQueued: 0,
  version: '1.2.3',
});

function statsWith(deliveries: number): Stats {
  return { ...createStats(), deliveries, connections: { gusher: 2, pusher: 0 } };
}

async function scrapeOf(metrics: Metrics): Promise<Scrape> {
  const answer = new Promise<ToWorker>((resolve) => {
    void metrics.answer({ type: 'metricsQuery', id: 7, format: 'text' }, resolve);
  });
  const message = await within(answer, 'the metrics');
  if (message.type !== 'metrics' || message.id !== 7) throw new Error('another message');
  return new Scrape(message.text);
}

describe('Metrics of the primary', () => {
  it('sum up fresh reports, and the last report of a worker that is silent', async () => {
    const metrics = new Metrics({ stats: createStats(), readPrimary: primaryState });
    metrics.workerReady(0, (message) => {
      expect(message).to.deep.equal({ type: 'metricsCollect' });
      metrics.receive(0, { type: 'metricsReport', stats: statsWith(10), gauges: WORKER_GAUGES });
    });
    metrics.receive(1, { type: 'heartbeat', stats: statsWith(5) });
    metrics.workerReady(1, () => undefined);
    const scrape = await scrapeOf(metrics);
    expect(scrape.value('gusher_deliveries_total')).to.equal(15);
    expect(scrape.value('gusher_connections', { protocol: 'gusher' })).to.equal(4);
    expect(scrape.find('gusher_event_loop_utilization')).to.have.length(1);
    expect(scrape.value('gusher_broker_up'), 'a silent worker is not known to be connected').to.equal(0);
  });

  it('keep the counters of an exited worker when another one takes its slot', async () => {
    const metrics = new Metrics({ stats: createStats(), readPrimary: primaryState });
    metrics.receive(0, { type: 'heartbeat', stats: statsWith(10) });
    metrics.workerExited(0);
    metrics.receive(0, { type: 'heartbeat', stats: statsWith(1) });
    const scrape = await scrapeOf(metrics);
    expect(scrape.value('gusher_deliveries_total')).to.equal(11);
    expect(scrape.value('gusher_connections', { protocol: 'gusher' })).to.equal(2);
    expect(scrape.value('gusher_closes_total', { by: 'worker', code: '1006' })).to.equal(2);
  });

  it('are collected once for many scrapes', async () => {
    let collections = 0;
    const metrics = new Metrics({ stats: createStats(), readPrimary: primaryState });
    metrics.workerReady(0, () => {
      collections += 1;
      metrics.receive(0, { type: 'metricsReport', stats: statsWith(1), gauges: WORKER_GAUGES });
    });
    await Promise.all(Array.from({ length: 20 }, () => scrapeOf(metrics)));
    expect(collections).to.equal(1);
  });
});

describe('The catalogue of metrics', () => {
  it('exports each field of the stats', async () => {
    const read = new Set<string>();
    const stats = new Proxy(createStats(), {
      get: (target, name: keyof Stats) => {
        read.add(name);
        return target[name];
      },
    });
    const workers = [{ slot: 0, stats, gauges: WORKER_GAUGES }];
    const host = { stats, workers, primary: await primaryState() };
    for (const metric of METRICS)
      for (const sample of metric.read(host)) expect(sample.value).to.be.a('number');
    const unread = Object.keys(createStats()).filter((name) => !read.has(name));
    expect(unread, 'counters that no metric exports').to.deep.equal([]);
  });
});
