import { Clients } from '../support/clients.ts';
import { Publisher } from '../support/publisher.ts';
import { type Measured, type Scenario, withRunning } from '../support/scenario.ts';
import { quantile } from '../support/statistics.ts';
import { type Running, withApp } from '../support/target.ts';

const BIG = { subscribers: 10_000, perSecond: 1 };
const SMALL = { subscribers: 20, perSecond: 50 };
const SECONDS = 20;
const BYTES = 100;

/** A big channel of one app beside a small one of another: what its neighbour's fan-out costs the small one. */
export const fairness: Scenario = {
  name: `${BIG.subscribers} of one app beside ${SMALL.subscribers} of another`,
  suits: ({ name }) => name === 'gusher',
  measure: (target, { short }): Promise<Measured> =>
    withRunning(target, async (running) => {
      const seconds = short ? 1 : SECONDS;
      const bigCount = short ? BIG.subscribers / 100 : BIG.subscribers;
      const big = new Side(await withApp(running, 'big'), { perSecond: BIG.perSecond });
      const small = new Side(await withApp(running, 'small'), { perSecond: SMALL.perSecond });
      try {
        await small.open({ count: SMALL.subscribers, sampled: 1 });
        await small.warmUp(short);
        const alone = await small.run(seconds);
        await big.open({ count: bigCount });
        if (!short) await big.run(2);
        const [ofBig, ofSmall] = await Promise.all([big.run(seconds), small.run(seconds)]);
        return {
          values: {
            'ms p99, small beside big': ofSmall.p99,
            'ms p50, small beside big': ofSmall.p50,
            'ms p99, small alone': alone.p99,
            'ms p50, small alone': alone.p50,
            'ms p99, big': ofBig.p99,
            'ms p50, big': ofBig.p50,
          },
          remarks: [...big.errors, ...small.errors],
        };
      } finally {
        await Promise.all([big.close(), small.close()]);
      }
    }),
};

/** One app: its clients, in one channel, and its backend. */
class Side {
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
      this.errors.push(`only ${this.#ready} of ${options.count} clients were let in`);
  }

  async warmUp(short: boolean): Promise<void> {
    await this.#clients.until((await this.#publisher.warmUp({ ...this.#load, short })) * this.#ready);
  }

  async run(seconds: number): Promise<{ p50: number; p99: number }> {
    this.#clients.reset();
    const count = seconds * this.#load.perSecond;
    await this.#publisher.run({ ...this.#load, count });
    const missing = count * this.#ready - (await this.#clients.until(count * this.#ready));
    if (missing > 0) this.errors.push(`${missing} deliveries did not come`);
    const { latenciesMs } = await this.#clients.report();
    return { p50: quantile(latenciesMs, 0.5), p99: quantile(latenciesMs, 0.99) };
  }

  async close(): Promise<void> {
    this.#publisher.close();
    await this.#clients.close();
  }
}
