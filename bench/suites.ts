import { channels } from './scenarios/channels.ts';
import { connections, connectionsGrowth, heartbeat } from './scenarios/connections.ts';
import { fairness } from './scenarios/fairness.ts';
import { fanOut, latency } from './scenarios/fan-out.ts';
import { saturation } from './scenarios/saturation.ts';
import { series } from './scenarios/series.ts';
import type { Scenario } from './support/scenario.ts';

/** What is measured by default. */
export const SCENARIOS: readonly Scenario[] = [
  fanOut({ subscribers: 1_000, burst: 1, bytes: 100 }),
  fanOut({ subscribers: 1_000, burst: 1, bytes: 1_024 }),
  fanOut({ subscribers: 5_000, burst: 1, bytes: 100 }),
  fanOut({ subscribers: 1_000, burst: 10, bytes: 100 }),
  fanOut({ subscribers: 1_000, burst: 50, bytes: 100 }),
  fanOut({ subscribers: 100, burst: 1, bytes: 100 }),
  fanOut({ subscribers: 10_000, burst: 1, bytes: 100 }),
  latency({ subscribers: 1_000, bytes: 100 }),
  fairness,
  connections,
  heartbeat,
  channels(100),
  channels(10_000),
];

/** Whether cost grows as the work grows and no faster. */
export const GROWTH: readonly Scenario[] = [
  series('fan-out to so many subscribers', [100, 1_000, 10_000, 30_000], (subscribers) =>
    fanOut({ subscribers, burst: 1, bytes: 100 }),
  ),
  series('so many channels of one subscriber', [1, 100, 10_000], channels),
  connectionsGrowth([1_000, 10_000, 30_000]),
  series('saturated, so many workers', [1, 2], saturation),
];

/** One of each kind. */
export const SHORT: readonly Scenario[] = [
  fanOut({ subscribers: 1_000, burst: 10, bytes: 100 }),
  latency({ subscribers: 1_000, bytes: 100 }),
  fairness,
  connections,
  series('so many channels of one subscriber', [1, 1_000], channels),
  connectionsGrowth([1_000, 3_000]),
  series('saturated, so many workers', [1, 2], saturation),
];
