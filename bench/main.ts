import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { nodeCluster, socketIo } from './peers/peers.ts';
import { GROWTH, SCENARIOS, SHORT } from './suites.ts';
import { type Figure, isBottleneck, type Plan, type Scenario } from './support/scenario.ts';
import { median } from './support/statistics.ts';
import { gusher, minimal } from './support/target.ts';

const RESULTS = 'bench/results';
/** The largest ratio of two results that still counts as equal. */
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
    'npm run bench -- [--growth] [--rounds N] [--workers N] [--only part-of-a-name] [--peers] [--short]\nSee bench/README.md.\n',
  );
} else {
  await main();
}

async function main(): Promise<void> {
  const workers = Number(options.workers);
  const peers = options.peers ? [nodeCluster(workers), socketIo(workers)] : [];
  const plan: Plan = {
    targets: [minimal, gusher(workers), ...peers],
    rounds: options.short ? 1 : Number(options.rounds),
    short: options.short,
  };
  const available = options.short ? SHORT : options.growth ? GROWTH : SCENARIOS;
  const selected = available.filter(({ name }) => name.includes(options.only));
  const figures: Figure[] = [];
  const previous = readPreviousResults();
  for (const [index, scenario] of selected.entries()) {
    process.stderr.write(`${index + 1} of ${selected.length}: ${scenario.name}\n`);
    const results = await runScenario(scenario, plan);
    for (const figure of results) process.stdout.write(`${formatLine(figure, results, previous)}\n`);
    figures.push(...results);
  }
  process.stdout.write(
    `machine load: ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores, Node ${process.version}\n`,
  );
  if (!options.short) save(figures);
  if (options.short && figures.some(isInvalid)) process.exitCode = 1;
}

/** Measures the targets alternately, so that a change of machine load affects all of them. */
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
  return groupByTargetAndUnit(figures);
}

/** Puts the sizes of a series on consecutive lines. */
function groupByTargetAndUnit(figures: readonly Figure[]): Figure[] {
  const kindOf = ({ unit, target }: Figure) => `${target}\n${unit}`;
  const kinds = [...new Set(figures.map(kindOf))];
  return kinds.flatMap((kind) => figures.filter((figure) => kindOf(figure) === kind));
}

/** A result is invalid if it is not a number or if messages or clients are missing; slowness is never an error. */
function isInvalid({ values, remarks }: Figure): boolean {
  return values.some((value) => !Number.isFinite(value)) || remarks.some((remark) => !isBottleneck(remark));
}

function formatLine(figure: Figure, all: readonly Figure[], previous: readonly Figure[]): string {
  const { scenario, target, unit, size, values, remarks } = figure;
  const same = (other: Figure, name: string) =>
    other.scenario === scenario && other.unit === unit && other.size === size && other.target === name;
  const middle = median(values);
  const minimum = all.find((other) => same(other, minimal.name));
  const before = previous.find((other) => same(other, target));
  const parts = [
    (size === undefined ? scenario : `${scenario}: ${size}`).padEnd(50),
    target.padEnd(12),
    `${middle.toFixed(2).padStart(9)} ${unit}`.padEnd(44),
    `(${values.map((value) => value.toFixed(2)).join(' ')})`,
  ];
  if (minimum !== undefined && target !== minimal.name)
    parts.push(`${(middle / median(minimum.values)).toFixed(2)} x minimal`);
  const smallest = smallestOf(figure, all);
  if (smallest !== undefined) parts.push(growthOf(figure, smallest));
  if (before !== undefined) parts.push(`previous ${median(before.values).toFixed(2)}`);
  if (remarks.length > 0) parts.push(`! ${remarks.join(', ')}`);
  return parts.join(' ');
}

/** Returns the smallest size of a series; `undefined` for that size itself. */
function smallestOf({ scenario, unit, target, size = 0 }: Figure, all: readonly Figure[]): Sized | undefined {
  return all
    .filter((other) => other.scenario === scenario && other.unit === unit && other.target === target)
    .filter((other): other is Sized => other.size !== undefined && other.size < size)
    .sort((one, other) => one.size - other.size)[0];
}

/** Compares the growth of a result with the growth of the work: flat, linear, or between them. */
function growthOf({ size = 0, values }: Figure, smallest: Sized): string {
  const [resultRatio, workRatio] = [median(values) / median(smallest.values), size / smallest.size];
  return `${resultRatio.toFixed(2)} x size ${smallest.size}: ${shapeOf(resultRatio, workRatio)}`;
}

function shapeOf(resultRatio: number, workRatio: number): string {
  if (resultRatio <= FLAT) return resultRatio < 1 / FLAT ? 'falls' : 'flat';
  const power = Math.log(resultRatio) / Math.log(workRatio);
  if (power < 0.8) return 'less than linear';
  return power <= 1.2 ? 'linear' : 'more than linear';
}

/** Reads the newest saved results; returns an empty list if none exist. */
function readPreviousResults(): Figure[] {
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
