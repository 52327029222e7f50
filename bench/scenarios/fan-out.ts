import { Clients } from '../support/clients.ts';
import { cpuMsOf } from '../support/machine.ts';
import { Publisher } from '../support/publisher.ts';
import type { Measured, Plan, Scenario } from '../support/scenario.ts';
import { withRunning } from '../support/scenario.ts';
import { quantile } from '../support/statistics.ts';
import type { Target } from '../support/target.ts';

const BURSTS_PER_SECOND = 25;
/** A client process that is busy for more than this part of the time may be what is measured. */
const BUSY_PART = 0.85;

/** One channel that holds everybody: CPU of the whole server per message that reached a client, and latency. */
export function fanOut(options: { subscribers: number; burst: number; bytes: number }): Scenario {
  const { subscribers, burst, bytes } = options;
  return {
    name: `${burst} at once to ${subscribers} subscribers, ${bytes} B`,
    suits: () => true,
    measure: (target, plan) => measure(target, plan, options),
  };
}

function measure(
  target: Target,
  { short }: Plan,
  { subscribers, burst, bytes }: { subscribers: number; burst: number; bytes: number },
): Promise<Measured> {
  const count = short ? subscribers / 10 : subscribers;
  const bursts = short ? 3 : Math.max(20, Math.ceil(100 / burst));
  const perSecond = burst === 1 ? 50 : burst * BURSTS_PER_SECOND * (1 / Math.max(1, burst / 10));
  return withRunning(target, async (running) => {
    const clients = new Clients();
    const publisher = new Publisher(running, { sockets: Math.min(burst, 50) });
    try {
      const ready = await clients.open(running, { count });
      const warmUp = Math.ceil(bursts / 5) * burst;
      await publisher.run({ count: warmUp, burst, perSecond, bytes });
      await clients.until(warmUp * ready);
      clients.reset();
      const before = await clients.report();
      const [startedAt, cpuMs] = [performance.now(), cpuMsOf(running.pid)];
      await publisher.run({ count: bursts * burst, burst, perSecond, bytes });
      const expected = bursts * burst * ready;
      const arrived = await clients.until(expected);
      const spentMs = cpuMsOf(running.pid) - cpuMs;
      const after = await clients.report();
      const tookMs = performance.now() - startedAt;
      const busy = Math.max(...after.cpuMs.map((ms, index) => (ms - (before.cpuMs[index] ?? 0)) / tookMs));
      return {
        values: {
          'us CPU per delivery': (spentMs * 1_000) / Math.max(1, arrived),
          'ms p50': quantile(after.latenciesMs, 0.5),
          'ms p99': quantile(after.latenciesMs, 0.99),
        },
        remarks: [
          ...(ready < count ? [`only ${ready} of ${count} clients were let in`] : []),
          ...(arrived < expected ? [`${expected - arrived} of ${expected} deliveries did not come`] : []),
          ...(busy > BUSY_PART ? ['the clients were the bottleneck'] : []),
        ],
      };
    } finally {
      publisher.close();
      await clients.close();
    }
  });
}
