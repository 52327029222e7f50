import { channels } from './scenarios/channels.ts';
import { connections, connectionsGrowth, heartbeat } from './scenarios/connections.ts';
import { fanOut, latency } from './scenarios/fan-out.ts';
import { noisyNeighbour } from './scenarios/noisy-neighbour.ts';
import { saturation } from './scenarios/saturation.ts';
import { series } from './scenarios/series.ts';
import type { Scenario } from './support/scenario.ts';

/** The default scenarios. */
export const SCENARIOS: readonly Scenario[] = [
  fanOut({ subscribers: 1_000, burst: 1, bytes: 100 }),
  fanOut({ subscribers: 1_000, burst: 1, bytes: 1_024 }),
  fanOut({ subscribers: 5_000, burst: 1, bytes: 100 }),
  fanOut({ subscribers: 1_000, burst: 10, bytes: 100 }),
  fanOut({ subscribers: 1_000, burst: 50, bytes: 100 }),
  fanOut({ subscribers: 100, burst: 1, bytes: 100 }),
  fanOut({ subscribers: 10_000, burst: 1, bytes: 100 }),
  latency({ subscribers: 1_000, bytes: 100 }),
  noisyNeighbour,
  connections,
  heartbeat,
  channels(100),
  channels(10_000),
];

/** The series of `--growth`: cost must not grow faster than the work. */
export const GROWTH: readonly Scenario[] = [
  series('fan-out by number of subscribers', [100, 1_000, 10_000, 30_000], (subscribers) =>
    fanOut({ subscribers, burst: 1, bytes: 100 }),
  ),
  series('number of channels with one subscriber each', [1, 100, 10_000], channels),
  connectionsGrowth([1_000, 10_000, 30_000]),
  series('saturation by number of workers', [1, 2], saturation),
];

/** The scenarios of `--short`: one of each kind. */
export const SHORT: readonly Scenario[] = [
  fanOut({ subscribers: 1_000, burst: 10, bytes: 100 }),
  latency({ subscribers: 1_000, bytes: 100 }),
  noisyNeighbour,
  connections,
  series('number of channels with one subscriber each', [1, 1_000], channels),
  connectionsGrowth([1_000, 3_000]),
  series('saturation by number of workers', [1, 2], saturation),
];
