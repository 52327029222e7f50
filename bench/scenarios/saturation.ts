import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { Clients, wereClientsBusy } from '../support/clients.ts';
import { cpuMsOf } from '../support/machine.ts';
import { Publisher } from '../support/publisher.ts';
import { bottleneck, type Scenario, withRunning } from '../support/scenario.ts';
import { gusher } from '../support/target.ts';

const SUBSCRIBERS = 1_000;
const SECONDS = 5;
/** Enough that no worker waits for the backend. */
const IN_FLIGHT = 32;
/** Publications by which the clients may lag. A larger backlog for 1,000 clients fills the kernel's socket buffers. */
const BACKLOG = 200;
/** One client in so many reports latency: none here. */
const SAMPLED = 1_000_000;
/** Other processes on the machine: two of clients, the primary, and this one, which is the backend. */
const OTHER_PROCESSES = 4;

/** Measures deliveries per second of saturated workers, and CPU per delivery. */
export function saturation(workers: number): Scenario {
  return {
    name: `saturation, ${workers} workers`,
    suits: ({ name }) => name === 'gusher',
    measure: (_target, { short }) =>
      withRunning(gusher(workers), async (running) => {
        const count = short ? SUBSCRIBERS / 10 : SUBSCRIBERS;
        const seconds = short ? 0.2 : SECONDS;
        const clients = new Clients();
        const publisher = new Publisher(running, { sockets: IN_FLIGHT });
        try {
          const ready = await clients.open(running, { count, sampled: SAMPLED });
          await clients.until((await saturate(publisher, clients, { ready, seconds })) * ready);
          clients.reset();
          const before = await clients.report();
          const [startedAt, cpuMs] = [performance.now(), cpuMsOf(running.pid)];
          const published = await saturate(publisher, clients, { ready, seconds });
          // The measurement includes the backlog: it ends with the last delivery.
          const arrived = await clients.until(published * ready);
          const tookMs = performance.now() - startedAt;
          const spentMs = cpuMsOf(running.pid) - cpuMs;
          const after = await clients.report();
          return {
            values: {
              'deliveries per second': (arrived / tookMs) * 1_000,
              'us CPU per delivery': (spentMs * 1_000) / Math.max(1, arrived),
            },
            remarks: [
              ...(ready < count ? [`only ${ready} of ${count} clients connected`] : []),
              ...(arrived < published * ready ? [`${published * ready - arrived} deliveries missing`] : []),
              ...(wereClientsBusy(before, after, tookMs) ? [bottleneck('the clients')] : []),
              ...(availableParallelism() < workers + OTHER_PROCESSES ? [bottleneck('the cores')] : []),
            ],
          };
        } finally {
          publisher.close();
          await clients.close();
        }
      }),
  };
}

/** Publishes at the full rate; returns the number of publications. */
async function saturate(
  publisher: Publisher,
  clients: Clients,
  { ready, seconds }: { ready: number; seconds: number },
): Promise<number> {
  const progress = { deliveries: 0, isOver: false };
  const poll = async (): Promise<void> => {
    while (!progress.isOver) {
      progress.deliveries = (await clients.report()).deliveries;
      await pause(20);
    }
  };
  const polling = poll();
  const published = await publisher.runAtFullRate({
    seconds,
    inFlight: IN_FLIGHT,
    bytes: 100,
    mayContinue: (sent) => sent - progress.deliveries / ready < BACKLOG,
  });
  progress.isOver = true;
  await polling;
  return published;
}
