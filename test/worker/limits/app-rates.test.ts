import { expect } from 'chai';
import { RateServer } from '../../../src/primary/limits/rate-server.ts';
import { type App, DEMO_APP } from '../../../src/shared/apps/app.ts';
import { GusherError } from '../../../src/shared/errors/catalogue.ts';
import { AppUsage } from '../../../src/worker/limits/app-allowances.ts';
import { AppRates } from '../../../src/worker/limits/app-rates.ts';
import { eventually } from '../../support/deadline.ts';

const NO_DEFAULTS = { appPublishesPerSecond: 0, appClientEventsPerSecond: 0, appBytesOutPerSecond: 0 };

describe('AppRates', () => {
  const open: AppRates[] = [];
  let requests: number;
  let sending: AppUsage[];

  beforeEach(() => {
    requests = 0;
    sending = [];
  });

  afterEach(() => {
    for (const rates of open.splice(0)) rates.close();
  });

  /** Connects workers to a primary by queues that deliver in a later turn. */
  function start(app: App, workers: number, defaults = NO_DEFAULTS): AppRates[] {
    const server = new RateServer({ workers });
    for (let index = 0; index < workers; index += 1) {
      const name = `worker ${index}`;
      const rates: AppRates = new AppRates({
        defaults,
        remembered: () => app,
        send: (message) => {
          requests += 1;
          if (message.type !== 'rateRequest' && message.type !== 'bytesOut') return;
          setImmediate(() => server.receive(name, message));
        },
        takeSending: () => sending.splice(0),
      });
      server.open(name, (message) => {
        if (message.type !== 'rateGrant' && message.type !== 'bytesOutExceeded') return;
        setImmediate(() => rates.receive(message));
      });
      open.push(rates);
    }
    return open;
  }

  async function admit(rates: AppRates, app: App, count = 1): Promise<string> {
    try {
      await rates.admitPublications(app, count);
      return 'admitted';
    } catch (error) {
      if (error instanceof GusherError) return error.code;
      throw error;
    }
  }

  it('cost nothing for an app without a limit', async () => {
    const [rates] = start(DEMO_APP, 1) as [AppRates];
    for (let count = 0; count < 100; count += 1) {
      expect(rates.admitPublications(DEMO_APP, 1)).to.equal(undefined);
      expect(rates.admitClientEvent(DEMO_APP)).to.equal(undefined);
    }
    expect(requests).to.equal(0);
  });

  it('admit the whole limit through one of several workers, and reject the rest', async () => {
    const app = { ...DEMO_APP, max_publishes_per_second: 1_000 };
    const [rates] = start(app, 4) as [AppRates];
    const begin = performance.now();
    let admitted = 0;
    for (let count = 0; count < 3_000; count += 1)
      if ((await admit(rates, app)) === 'admitted') admitted += 1;
    const seconds = (performance.now() - begin) / 1_000;
    expect(admitted).to.be.within(1_000, 1_000 + 1_000 * seconds + 1);
    expect(requests).to.be.below(admitted / 5);
  });

  it('never admit more than a second and the elapsed time allow, on all workers together', async () => {
    const app = { ...DEMO_APP, max_publishes_per_second: 200 };
    const workers = start(app, 3);
    const begin = performance.now();
    let admitted = 0;
    while (performance.now() - begin < 300) {
      const outcomes = await Promise.all(workers.flatMap((rates) => [admit(rates, app), admit(rates, app)]));
      admitted += outcomes.filter((outcome) => outcome === 'admitted').length;
    }
    const seconds = (performance.now() - begin) / 1_000;
    expect(admitted)
      .to.be.at.most(Math.ceil(200 + 200 * seconds))
      .and.at.least(180);
  });

  it('answer everything that arrives while a request is in flight', async () => {
    const app = { ...DEMO_APP, max_publishes_per_second: 10_000 };
    const [rates] = start(app, 2) as [AppRates];
    const first = admit(rates, app, 1);
    await Promise.resolve();
    const later = Array.from({ length: 30 }, () => admit(rates, app, 100));
    expect(new Set(await Promise.all([first, ...later]))).to.deep.equal(new Set(['admitted']));
  });

  it('admit a batch as a whole or not at all, and one above the limit once the bucket is full', async () => {
    const app = { ...DEMO_APP, max_publishes_per_second: 10 };
    const [rates] = start(app, 2) as [AppRates];
    expect(await admit(rates, app, 25)).to.equal('admitted');
    expect(await admit(rates, app, 1)).to.equal('too_many_publishes');
  });

  it('admit nothing at a limit of 0, and use the default of the settings otherwise', async () => {
    const [rates] = start(DEMO_APP, 1, { ...NO_DEFAULTS, appPublishesPerSecond: 2 }) as [AppRates];
    expect(await admit(rates, { ...DEMO_APP, max_publishes_per_second: 0 })).to.equal('too_many_publishes');
    const outcomes = [];
    for (let count = 0; count < 3; count += 1)
      outcomes.push(await admit(rates, { ...DEMO_APP, key: 'other' }));
    expect(outcomes).to.deep.equal(['admitted', 'admitted', 'too_many_publishes']);
  });

  it('reject publications on every worker while sent bytes exceed the limit, and admit them afterwards', async () => {
    const app = { ...DEMO_APP, max_bytes_out_per_second: 100_000 };
    const [rates, other] = start(app, 2) as [AppRates, AppRates];
    expect(await admit(rates, app)).to.equal('admitted');
    const usage = new AppUsage(app.key);
    usage.bytesOut = 130_000;
    sending.push(usage);
    await eventually(async () => (await admit(other, app)) === 'too_many_bytes_out', 'a rejection');
    expect(() => rates.admitClientEvent(app)).to.throw(GusherError);
    expect(usage.bytesOut).to.equal(0);
    await eventually(async () => (await admit(other, app)) === 'admitted', 'the end of the debt');
  });
});
