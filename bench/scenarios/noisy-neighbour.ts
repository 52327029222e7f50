import { Clients } from '../support/clients.ts';
import { Publisher } from '../support/publisher.ts';
import { type Measured, type Scenario, withRunning } from '../support/scenario.ts';
import { quantile } from '../support/statistics.ts';
import { type Running, withApp } from '../support/target.ts';

const LARGE = { subscribers: 10_000, perSecond: 1 };
const SMALL = { subscribers: 20, perSecond: 50 };
const SECONDS = 20;
const BYTES = 100;

/** Measures how the fan-out to a large channel of one app delays a small channel of another app. */
export const noisyNeighbour: Scenario = {
  name: `noisy neighbour, ${LARGE.subscribers} clients beside ${SMALL.subscribers}`,
  suits: ({ name }) => name === 'gusher',
  measure: (target, { short }): Promise<Measured> =>
    withRunning(target, async (running) => {
      const seconds = short ? 1 : SECONDS;
      const largeCount = short ? LARGE.subscribers / 100 : LARGE.subscribers;
      const large = new AppLoad(await withApp(running, 'large'), { perSecond: LARGE.perSecond });
      const small = new AppLoad(await withApp(running, 'small'), { perSecond: SMALL.perSecond });
      try {
        await small.open({ count: SMALL.subscribers, sampled: 1 });
        await small.warmUp(short);
        const alone = await small.run(seconds);
        await large.open({ count: largeCount });
        if (!short) await large.run(2);
        const [largeLatency, smallLatency] = await Promise.all([large.run(seconds), small.run(seconds)]);
        return {
          values: {
            'ms p99, small beside large': smallLatency.p99,
            'ms p50, small beside large': smallLatency.p50,
            'ms p99, small alone': alone.p99,
            'ms p50, small alone': alone.p50,
            'ms p99, large': largeLatency.p99,
            'ms p50, large': largeLatency.p50,
          },
          remarks: [...large.errors, ...small.errors],
        };
      } finally {
        await Promise.all([large.close(), small.close()]);
      }
    }),
};

/** One app: its clients, all in one channel, and its backend. */
class AppLoad {
  readonly errors: string[] = [];
  readonly #app: Running;
  readonly #load: { burst: number; perSecond: number; bytes: number };
  readonly #clients = new Clients();
  readonly #publisher: Publisher;
  #ready = 0;

  constructor(app: Running, { perSecond }: { perSecond: number }) {
    this.#app = app;
    this.#load = { burst: 1, perSecond, bytes: BYTES };
    this.#publisher = new Publisher(app, { sockets: 4 });
  }

  async open(options: { count: number; sampled?: number }): Promise<void> {
    this.#ready = await this.#clients.open(this.#app, options);
    if (this.#ready < options.count)
      this.errors.push(`only ${this.#ready} of ${options.count} clients connected`);
  }

  async warmUp(short: boolean): Promise<void> {
    await this.#clients.until((await this.#publisher.warmUp({ ...this.#load, short })) * this.#ready);
  }

  async run(seconds: number): Promise<{ p50: number; p99: number }> {
    this.#clients.reset();
    const count = seconds * this.#load.perSecond;
    await this.#publisher.run({ ...this.#load, count });
    const missing = count * this.#ready - (await this.#clients.until(count * this.#ready));
    if (missing > 0) this.errors.push(`${missing} deliveries missing`);
    const { latenciesMs } = await this.#clients.report();
    return { p50: quantile(latenciesMs, 0.5), p99: quantile(latenciesMs, 0.99) };
  }

  async close(): Promise<void> {
    this.#publisher.close();
    await this.#clients.close();
  }
}
