import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { naive, socketIo } from './peers/peers.ts';
import { channels } from './scenarios/channels.ts';
import { connections, heartbeat } from './scenarios/connections.ts';
import { fanOut } from './scenarios/fan-out.ts';
import type { Figure, Plan, Scenario } from './support/scenario.ts';
import { median } from './support/statistics.ts';
import { gusher, limit } from './support/target.ts';

const RESULTS = 'bench/results';
const WORKERS = 2;

const SCENARIOS: readonly Scenario[] = [
  fanOut({ subscribers: 1_000, burst: 1, bytes: 100 }),
  fanOut({ subscribers: 1_000, burst: 1, bytes: 1_024 }),
  fanOut({ subscribers: 5_000, burst: 1, bytes: 100 }),
  fanOut({ subscribers: 1_000, burst: 10, bytes: 100 }),
  fanOut({ subscribers: 1_000, burst: 50, bytes: 100 }),
  fanOut({ subscribers: 100, burst: 1, bytes: 100 }),
  fanOut({ subscribers: 10_000, burst: 1, bytes: 100 }),
  connections,
  heartbeat,
  channels(100),
  channels(10_000),
];

/** One of each kind. */
const SHORT: readonly Scenario[] = [
  fanOut({ subscribers: 1_000, burst: 10, bytes: 100 }),
  connections,
  channels(1_000),
];

const { values: options } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  process.stdout.write(
    'npm run bench -- [--rounds N] [--only part-of-a-name] [--peers] [--short]\nbench/README.md says what is measured.\n',
  );
} else {
  await main();
}

async function main(): Promise<void> {
  const peers = options.peers ? [naive(WORKERS), socketIo(WORKERS)] : [];
  const plan: Plan = {
    targets: [limit, gusher(WORKERS), ...peers],
    rounds: options.short ? 1 : Number(options.rounds),
    short: options.short,
  };
  const offered = options.short ? SHORT : SCENARIOS;
  const chosen = offered.filter(({ name }) => name.includes(options.only));
  const figures: Figure[] = [];
  for (const scenario of chosen) figures.push(...(await runScenario(scenario, plan)));
  const last = readLast();
  for (const figure of figures) process.stdout.write(`${lineOf(figure, figures, last)}\n`);
  process.stdout.write(
    `load of the machine: ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores, Node ${process.version}\n`,
  );
  if (!options.short) save(figures);
  if (options.short && figures.some(isBroken)) process.exitCode = 1;
}

/** The targets take turns, so that the moods of the machine meet all of them. */
async function runScenario(scenario: Scenario, plan: Plan): Promise<Figure[]> {
  const targets = plan.targets.filter(scenario.suits);
  const found = new Map<string, { unit: string; target: string; values: number[]; remarks: Set<string> }>();
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const target of targets) {
      const { values, remarks = [] } = await scenario.measure(target, plan);
      for (const [unit, value] of Object.entries(values)) {
        const key = `${unit}\n${target.name}`;
        const figure = found.get(key) ?? { unit, target: target.name, values: [], remarks: new Set() };
        figure.values.push(value);
        for (const remark of remarks) figure.remarks.add(remark);
        found.set(key, figure);
      }
    }
  }
  return [...found.values()].map((figure) => ({
    ...figure,
    scenario: scenario.name,
    remarks: [...figure.remarks],
  }));
}

/** Broken is a figure that is none, or that not everything arrived for; never one that is slow. */
function isBroken({ values, remarks }: Figure): boolean {
  return (
    values.some((value) => !Number.isFinite(value)) ||
    remarks.some((remark) => !remark.includes('bottleneck'))
  );
}

function lineOf(figure: Figure, all: readonly Figure[], last: readonly Figure[]): string {
  const { scenario, target, unit, values, remarks } = figure;
  const same = (other: Figure, name: string) =>
    other.scenario === scenario && other.unit === unit && other.target === name;
  const middle = median(values);
  const floor = all.find((other) => same(other, limit.name));
  const before = last.find((other) => same(other, target));
  const parts = [
    scenario.padEnd(40),
    target.padEnd(10),
    `${middle.toFixed(2).padStart(9)} ${unit}`.padEnd(44),
    `(${values.map((value) => value.toFixed(2)).join(' ')})`,
  ];
  if (floor !== undefined && target !== limit.name)
    parts.push(`${(middle / median(floor.values)).toFixed(2)} x limit`);
  if (before !== undefined) parts.push(`last time ${median(before.values).toFixed(2)}`);
  if (remarks.length > 0) parts.push(`! ${remarks.join(', ')}`);
  return parts.join(' ');
}

/** The figures that were saved last; none is no fault. */
function readLast(): Figure[] {
  try {
    const [newest] = readdirSync(RESULTS)
      .filter((name) => name.endsWith('.json'))
      .sort()
      .reverse();
    return newest === undefined
      ? []
      : (JSON.parse(readFileSync(`${RESULTS}/${newest}`, 'utf8')) as { figures: Figure[] }).figures;
  } catch {
    return [];
  }
}

function save(figures: readonly Figure[]): void {
  mkdirSync(RESULTS, { recursive: true });
  const at = new Date().toISOString();
  const machine = { node: process.version, cores: availableParallelism(), load: loadavg() };
  writeFileSync(
    `${RESULTS}/${at.replaceAll(':', '-')}.json`,
    `${JSON.stringify({ at, machine, figures }, undefined, 2)}\n`,
  );
}
