import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { Clients, wereFull } from '../support/clients.ts';
import { cpuMsOf } from '../support/machine.ts';
import { Publisher } from '../support/publisher.ts';
import { bottleneck, type Scenario, withRunning } from '../support/scenario.ts';
import { gusher } from '../support/target.ts';

const SUBSCRIBERS = 1_000;
const SECONDS = 5;
/** Enough that no worker waits for a backend. */
const IN_FLIGHT = 32;
/** Publications by which clients may lag: what waits for 1,000 of them fills the memory of the kernel. */
const BACKLOG = 200;
/** Nobody's latency is asked for. */
const SAMPLED = 1_000_000;
/** That share the machine with the workers: two processes of clients, the primary, and the backend, which is this one. */
const OTHERS = 4;

/** So many workers, given all that they take: deliveries per second, and what one costs. */
export function saturation(workers: number): Scenario {
  return {
    name: `saturated, ${workers} workers`,
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
          // The backlog belongs to it: the last delivery ends the measurement.
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
              ...(ready < count ? [`only ${ready} of ${count} clients were let in`] : []),
              ...(arrived < published * ready
                ? [`${published * ready - arrived} deliveries did not come`]
                : []),
              ...(wereFull(before, after, tookMs) ? [bottleneck('the clients')] : []),
              ...(availableParallelism() < workers + OTHERS ? [bottleneck('the cores')] : []),
            ],
          };
        } finally {
          publisher.close();
          await clients.close();
        }
      }),
  };
}

/** Answers how many publications it was. */
async function saturate(
  publisher: Publisher,
  clients: Clients,
  { ready, seconds }: { ready: number; seconds: number },
): Promise<number> {
  const progress = { deliveries: 0, isOver: false };
  const look = async (): Promise<void> => {
    while (!progress.isOver) {
      progress.deliveries = (await clients.report()).deliveries;
      await pause(20);
    }
  };
  const looking = look();
  const published = await publisher.press({
    seconds,
    inFlight: IN_FLIGHT,
    bytes: 100,
    mayGoOn: (sent) => sent - progress.deliveries / ready < BACKLOG,
  });
  progress.isOver = true;
  await looking;
  return published;
}
