import { Clients, wereClientsBusy } from '../support/clients.ts';
import { cpuMsOf } from '../support/machine.ts';
import { Publisher } from '../support/publisher.ts';
import type { Measured, Plan, Scenario } from '../support/scenario.ts';
import { bottleneck, withRunning } from '../support/scenario.ts';
import { quantile } from '../support/statistics.ts';
import type { Target } from '../support/target.ts';

const BURSTS_PER_SECOND = 25;
const SINGLE_PER_SECOND = 50;
/** Above this rate several publications are in progress at once, so single publications can no longer be measured. */
const SINGLE_DELIVERIES_PER_SECOND = 50_000;
/** Duration of the measurement if that is less than 100 publications. */
const SECONDS = 10;
const MIN_BURSTS = 20;
/** Enough clients to warm up the server. */
const WARM_UP_CLIENTS = 1_000;

interface FanOut {
  readonly subscribers: number;
  readonly burst: number;
  readonly bytes: number;
}

/** Measures CPU of the process tree per delivered message, and latency, with all clients in one channel. */
export function fanOut(options: FanOut): Scenario {
  const { subscribers, burst, bytes } = options;
  return {
    name: `${burst} at once to ${subscribers} subscribers, ${bytes} B`,
    suits: () => true,
    measure: (target, plan) => measure(target, plan, { ...options, publications: publicationsOf(options) }),
  };
}

/** Measures latency of single publications; a p99 needs more of them than `fanOut` sends. */
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
    ? Math.min(SINGLE_PER_SECOND, SINGLE_DELIVERIES_PER_SECOND / subscribers)
    : burst * BURSTS_PER_SECOND * (1 / Math.max(1, burst / 10));
}

function publicationsOf(options: FanOut): number {
  const atMost = Math.min(100, perSecondOf(options) * SECONDS);
  return Math.max(MIN_BURSTS, Math.ceil(atMost / options.burst)) * options.burst;
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
          ...(ready < count ? [`only ${ready} of ${count} clients connected`] : []),
          ...(arrived < expected ? [`${expected - arrived} of ${expected} deliveries missing`] : []),
          ...(wereClientsBusy(before, after, tookMs) ? [bottleneck('the clients')] : []),
        ],
      };
    } finally {
      publisher.close();
      await clients.close();
    }
  });
}
