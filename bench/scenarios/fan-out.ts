import { Clients, wereFull } from '../support/clients.ts';
import { cpuMsOf } from '../support/machine.ts';
import { Publisher } from '../support/publisher.ts';
import type { Measured, Plan, Scenario } from '../support/scenario.ts';
import { bottleneck, withRunning } from '../support/scenario.ts';
import { quantile } from '../support/statistics.ts';
import type { Target } from '../support/target.ts';

const BURSTS_PER_SECOND = 25;
const LONE_PER_SECOND = 50;
/** More than a server can carry meets in its turns, and then it is no longer one publication at a time. */
const LONE_DELIVERIES_PER_SECOND = 50_000;
/** How long is measured where that is less than a hundred publications. */
const SECONDS = 10;
const MIN_BURSTS = 20;
/** As many clients warm a server up as well as all would. */
const WARM_UP_CLIENTS = 1_000;

interface FanOut {
  readonly subscribers: number;
  readonly burst: number;
  readonly bytes: number;
}

/** One channel that holds everybody: CPU of the whole server per message that reached a client, and latency. */
export function fanOut(options: FanOut): Scenario {
  const { subscribers, burst, bytes } = options;
  return {
    name: `${burst} at once to ${subscribers} subscribers, ${bytes} B`,
    suits: () => true,
    measure: (target, plan) => measure(target, plan, { ...options, publications: publicationsOf(options) }),
  };
}

/** The same for latency alone, one publication at a time, over more of them: a p99 wants many. */
export function latency({ subscribers, bytes }: { subscribers: number; bytes: number }): Scenario {
  return {
    name: `latency, ${subscribers} subscribers, ${perSecondOf({ subscribers, burst: 1 })}/s`,
    suits: () => true,
    measure: async (target, plan) => {
      const { values, remarks = [] } = await measure(target, plan, {
        subscribers,
        burst: 1,
        bytes,
        publications: 500,
      });
      const { 'us CPU per delivery': _, ...latencies } = values;
      return { values: latencies, remarks };
    },
  };
}

function perSecondOf({ subscribers, burst }: { subscribers: number; burst: number }): number {
  return burst === 1
    ? Math.min(LONE_PER_SECOND, LONE_DELIVERIES_PER_SECOND / subscribers)
    : burst * BURSTS_PER_SECOND * (1 / Math.max(1, burst / 10));
}

function publicationsOf(options: FanOut): number {
  const most = Math.min(100, perSecondOf(options) * SECONDS);
  return Math.max(MIN_BURSTS, Math.ceil(most / options.burst)) * options.burst;
}

function measure(
  target: Target,
  { short }: Plan,
  { subscribers, burst, bytes, publications }: FanOut & { publications: number },
): Promise<Measured> {
  const count = short ? subscribers / 10 : subscribers;
  const published = short ? 3 * burst : publications;
  const load = { burst, perSecond: perSecondOf({ subscribers: count, burst }), bytes };
  return withRunning(target, async (running) => {
    const clients = new Clients();
    const publisher = new Publisher(running, { sockets: Math.min(burst, 50) });
    try {
      const first = await clients.open(running, { count: Math.min(count, WARM_UP_CLIENTS) });
      await clients.until((await publisher.warmUp({ ...load, short })) * first);
      const ready = first + (await clients.open(running, { count: Math.max(0, count - WARM_UP_CLIENTS) }));
      clients.reset();
      await publisher.run({ ...load, count: burst });
      await clients.until(burst * ready);
      clients.reset();
      const before = await clients.report();
      const [startedAt, cpuMs] = [performance.now(), cpuMsOf(running.pid)];
      await publisher.run({ ...load, count: published });
      const expected = published * ready;
      const arrived = await clients.until(expected);
      const spentMs = cpuMsOf(running.pid) - cpuMs;
      const after = await clients.report();
      const tookMs = performance.now() - startedAt;
      return {
        values: {
          'us CPU per delivery': (spentMs * 1_000) / Math.max(1, arrived),
          'ms p50': quantile(after.latenciesMs, 0.5),
          'ms p99': quantile(after.latenciesMs, 0.99),
        },
        remarks: [
          ...(ready < count ? [`only ${ready} of ${count} clients were let in`] : []),
          ...(arrived < expected ? [`${expected - arrived} of ${expected} deliveries did not come`] : []),
          ...(wereFull(before, after, tookMs) ? [bottleneck('the clients')] : []),
        ],
      };
    } finally {
      publisher.close();
      await clients.close();
    }
  });
}
