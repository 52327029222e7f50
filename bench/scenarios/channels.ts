import { Clients } from '../support/clients.ts';
import { cpuMsOf } from '../support/machine.ts';
import { Publisher } from '../support/publisher.ts';
import { type Scenario, withRunning } from '../support/scenario.ts';
import { quantile } from '../support/statistics.ts';

/** Measures CPU per publication, from HTTP request to socket, with one subscriber in each channel. */
export function channels(channelCount: number): Scenario {
  return {
    name: `${channelCount} channels with one subscriber each`,
    suits: ({ isMinimal }) => isMinimal === undefined,
    measure: (target, { short }) =>
      withRunning(target, async (running) => {
        const [count, publications] = short ? [Math.ceil(channelCount / 100), 50] : [channelCount, 4_000];
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
              ...(ready < count ? [`only ${ready} of ${count} clients connected`] : []),
              ...(arrived < publications ? [`${publications - arrived} publications missing`] : []),
            ],
          };
        } finally {
          publisher.close();
          await clients.close();
        }
      }),
  };
}
