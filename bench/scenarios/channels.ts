import { Clients } from '../support/clients.ts';
import { cpuMsOf } from '../support/machine.ts';
import { Publisher } from '../support/publisher.ts';
import { type Scenario, withRunning } from '../support/scenario.ts';
import { quantile } from '../support/statistics.ts';

/** Many channels of one subscriber each: CPU of a publication from HTTP request to socket. */
export function channels(most: number): Scenario {
  return {
    name: `${most} channels of one subscriber`,
    suits: ({ isLimit }) => isLimit === undefined,
    measure: (target, { short }) =>
      withRunning(target, async (running) => {
        const [count, publications] = short ? [Math.ceil(most / 100), 50] : [most, 4_000];
        const clients = new Clients();
        const publisher = new Publisher(running, { sockets: 8 });
        try {
          const ready = await clients.open(running, { count, channels: count });
          const load = { burst: 4, perSecond: 800, bytes: 100, channels: count };
          await clients.until(await publisher.warmUp({ ...load, short }));
          clients.reset();
          const cpuMs = cpuMsOf(running.pid);
          await publisher.run({ ...load, count: publications });
          const arrived = await clients.until(publications);
          const spentMs = cpuMsOf(running.pid) - cpuMs;
          const { latenciesMs } = await clients.report();
          return {
            values: {
              'us CPU per publish': (spentMs * 1_000) / publications,
              'ms p99': quantile(latenciesMs, 0.99),
            },
            remarks: [
              ...(ready < count ? [`only ${ready} of ${count} clients were let in`] : []),
              ...(arrived < publications ? [`${publications - arrived} publications did not arrive`] : []),
            ],
          };
        } finally {
          publisher.close();
          await clients.close();
        }
      }),
  };
}
