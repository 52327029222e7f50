import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { naive, socketIo } from './peers/peers.ts';
import { GROWTH, SCENARIOS, SHORT } from './suites.ts';
import { type Figure, isBottleneck, type Plan, type Scenario } from './support/scenario.ts';
import { median } from './support/statistics.ts';
import { gusher, limit } from './support/target.ts';

const RESULTS = 'bench/results';
/** What two runs of the same may differ by. */
const FLAT = 1.25;

type Sized = Figure & { readonly size: number };

const { values: options } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    growth: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    workers: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  process.stdout.write(
    'npm run bench -- [--growth] [--rounds N] [--workers N] [--only part-of-a-name] [--peers] [--short]\nbench/README.md says what is measured.\n',
  );
} else {
  await main();
}

async function main(): Promise<void> {
  const workers = Number(options.workers);
  const peers = options.peers ? [naive(workers), socketIo(workers)] : [];
  const plan: Plan = {
    targets: [limit, gusher(workers), ...peers],
    rounds: options.short ? 1 : Number(options.rounds),
    short: options.short,
  };
  const offered = options.short ? SHORT : options.growth ? GROWTH : SCENARIOS;
  const chosen = offered.filter(({ name }) => name.includes(options.only));
  const figures: Figure[] = [];
  const last = readLast();
  for (const [done, scenario] of chosen.entries()) {
    process.stderr.write(`${done + 1} of ${chosen.length}: ${scenario.name}\n`);
    const some = await runScenario(scenario, plan);
    for (const figure of some) process.stdout.write(`${lineOf(figure, some, last)}\n`);
    figures.push(...some);
  }
  process.stdout.write(
    `load of the machine: ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores, Node ${process.version}\n`,
  );
  if (!options.short) save(figures);
  if (options.short && figures.some(isBroken)) process.exitCode = 1;
}

/** The targets take turns, so that the moods of the machine meet all of them. */
async function runScenario(scenario: Scenario, plan: Plan): Promise<Figure[]> {
  const targets = plan.targets.filter(scenario.suits);
  const found = new Map<
    string,
    Omit<Figure, 'scenario' | 'remarks'> & { values: number[]; remarks: Set<string> }
  >();
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const target of targets) {
      for (const { values, remarks = [], size } of [await scenario.measure(target, plan)].flat()) {
        for (const [unit, value] of Object.entries(values)) {
          const key = `${unit}\n${size}\n${target.name}`;
          const figure = found.get(key) ?? {
            unit,
            target: target.name,
            values: [],
            remarks: new Set(),
            ...(size !== undefined && { size }),
          };
          figure.values.push(value);
          for (const remark of remarks) figure.remarks.add(remark);
          found.set(key, figure);
        }
      }
    }
  }
  const figures = [...found.values()].map((figure) => ({
    ...figure,
    scenario: scenario.name,
    remarks: [...figure.remarks],
  }));
  return lineUp(figures);
}

/** A series stands together, whatever else was measured at each of its sizes. */
function lineUp(figures: readonly Figure[]): Figure[] {
  const kindOf = ({ unit, target }: Figure) => `${target}\n${unit}`;
  const kinds = [...new Set(figures.map(kindOf))];
  return kinds.flatMap((kind) => figures.filter((figure) => kindOf(figure) === kind));
}

/** Broken is a figure that is none, or that not everything arrived for; never one that is slow. */
function isBroken({ values, remarks }: Figure): boolean {
  return values.some((value) => !Number.isFinite(value)) || remarks.some((remark) => !isBottleneck(remark));
}

function lineOf(figure: Figure, all: readonly Figure[], last: readonly Figure[]): string {
  const { scenario, target, unit, size, values, remarks } = figure;
  const same = (other: Figure, name: string) =>
    other.scenario === scenario && other.unit === unit && other.size === size && other.target === name;
  const middle = median(values);
  const floor = all.find((other) => same(other, limit.name));
  const before = last.find((other) => same(other, target));
  const parts = [
    (size === undefined ? scenario : `${scenario}: ${size}`).padEnd(42),
    target.padEnd(10),
    `${middle.toFixed(2).padStart(9)} ${unit}`.padEnd(44),
    `(${values.map((value) => value.toFixed(2)).join(' ')})`,
  ];
  if (floor !== undefined && target !== limit.name)
    parts.push(`${(middle / median(floor.values)).toFixed(2)} x limit`);
  const smallest = smallestOf(figure, all);
  if (smallest !== undefined) parts.push(growthOf(figure, smallest));
  if (before !== undefined) parts.push(`last time ${median(before.values).toFixed(2)}`);
  if (remarks.length > 0) parts.push(`! ${remarks.join(', ')}`);
  return parts.join(' ');
}

/** What a figure of a series is compared with; none for the first itself. */
function smallestOf({ scenario, unit, target, size = 0 }: Figure, all: readonly Figure[]): Sized | undefined {
  return all
    .filter((other) => other.scenario === scenario && other.unit === unit && other.target === target)
    .filter((other): other is Sized => other.size !== undefined && other.size < size)
    .sort((one, other) => one.size - other.size)[0];
}

/** How a figure grew beside the work: it is flat when it stayed, linear when it grew as the work did. */
function growthOf({ size = 0, values }: Figure, smallest: Sized): string {
  const [figureTimes, workTimes] = [median(values) / median(smallest.values), size / smallest.size];
  return `${figureTimes.toFixed(2)} x that of ${smallest.size}: ${shapeOf(figureTimes, workTimes)}`;
}

function shapeOf(figureTimes: number, workTimes: number): string {
  if (figureTimes <= FLAT) return figureTimes < 1 / FLAT ? 'falls' : 'flat';
  const power = Math.log(figureTimes) / Math.log(workTimes);
  if (power < 0.8) return 'less than linear';
  return power <= 1.2 ? 'linear' : 'more than linear';
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
