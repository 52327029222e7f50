import type { CommandModule } from 'yargs';
import { DEMO_APP } from '../../../shared/apps/app.ts';
import type { Settings } from '../../../shared/config/settings.ts';
import { type Paint, painterFor } from '../../../shared/logging/terminal.ts';
import { isLoopbackName, reachableFromHere } from '../../../shared/net/address.ts';
import { drawHistogram, drawProgress } from '../bench/drawing.ts';
import type { BenchResult } from '../bench/run-bench.ts';
import { ExitCodeError, UsageError } from '../errors.ts';
import { loadSettings, settingOptions } from '../load-settings.ts';
import { type Arguments, checkedUrl, numberOption, numberTextOption, textOption } from '../options.ts';
import { print } from '../output.ts';

const BENCH_SETTINGS = ['listen', 'apiListen', 'apiToken'] as const;
const SECOND_MS = 1_000;

/** `gusher bench`: puts load on a running gusher and measures latencies. */
export const benchCommand: CommandModule = {
  command: 'bench',
  describe: 'put load on a running gusher, and measure the latency of deliveries',
  builder: (yargs) =>
    yargs
      .option('connections', numberTextOption('subscribers (1 to 100000)', '100'))
      .option('channels', numberTextOption('channels, shared evenly by the subscribers', '1'))
      .option('rate', numberTextOption('publications per second, to the channels in turn', '10'))
      .option('size', numberTextOption('bytes of data of each publication', '100'))
      .option('duration', numberTextOption('seconds of publishing', '10'))
      .option('app', textOption('app key', { default: DEMO_APP.key }))
      .option('auth', textOption('credential for the auth webhook of the app'))
      .option('token', textOption('token (JWT) instead of --auth'))
      .option('url', textOption('ws:// or wss:// URL of clients, instead of --listen'))
      .option('allow-remote-load', {
        type: 'boolean',
        describe: 'accept a server that is not on this machine: the load can make it fail for its users',
      })
      .option('json', { type: 'boolean', describe: 'print one JSON object' })
      .options(settingOptions(BENCH_SETTINGS))
      .example('$0 bench', '100 subscribers of one channel, 10 publications per second')
      .example('$0 bench --connections 5000 --channels 50 --rate 200 --duration 30', 'more of everything')
      .epilogue(
        'Uses channels of its own (bench-…). The clients take CPU of the same machine: compare results of one machine only. ' +
          'Exit code: 0 if every client connected and everything arrived, 1 otherwise.',
      ),
  handler: async (argv) => {
    const { settings } = loadSettings(argv, BENCH_SETTINGS);
    const target = targetOf(argv, settings);
    const stop = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
    // Imported here, because the other commands do not need ws.
    const { runBench } = await import('../bench/run-bench.ts');
    const result = await runBench({
      ...target,
      ...loadOf(argv),
      signal: stop.signal,
      onProgress: showProgress,
    });
    clearProgress();
    if (argv.json === true) print(JSON.stringify(result));
    else for (const line of linesOf(result, painterFor(process.stdout))) print(line);
    if (hasFailed(result)) throw new ExitCodeError(1);
  },
};

function loadOf(argv: Arguments) {
  return {
    app: String(argv.app),
    connections: numberOption(argv, 'connections', 1, 100_000),
    channels: numberOption(argv, 'channels', 1, 100_000),
    perSecond: numberOption(argv, 'rate', 1, 100_000),
    size: numberOption(argv, 'size', 1, 60_000),
    durationMs: numberOption(argv, 'duration', 1, 3_600) * SECOND_MS,
  };
}

/** Hazard: a typing error that puts load on a server in production. */
function targetOf(
  argv: Arguments,
  { listen, apiListen, apiToken }: Pick<Settings, (typeof BENCH_SETTINGS)[number]>,
) {
  const url =
    argv.url === undefined ? new URL(`ws://${reachableFromHere(listen)}`) : checkedUrl(String(argv.url));
  const api = reachableFromHere(apiListen);
  const remote = [url.host, api].find((host) => !isLoopbackName(host));
  if (remote !== undefined && argv['allow-remote-load'] !== true) {
    throw new UsageError(
      `${remote} is not on this machine; the load can make it fail for its users; to accept that, add --allow-remote-load`,
    );
  }
  if (url.pathname === '/') url.pathname = `/ws/${encodeURIComponent(String(argv.app))}`;
  for (const name of ['auth', 'token']) {
    if (argv[name] !== undefined) url.searchParams.set(name, String(argv[name]));
  }
  const headers = {
    'Content-Type': 'application/json',
    ...(apiToken !== undefined && { Authorization: `Bearer ${apiToken}` }),
  };
  return { url, api: `http://${api}`, headers };
}

/** Only on a terminal: elsewhere it would fill a log. */
function showProgress(phase: string, fraction: number, text: string): void {
  if (process.stderr.isTTY)
    process.stderr.write(`\r\u001b[K${phase.padEnd(10)} ${drawProgress(fraction, text)}`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}

function linesOf(result: BenchResult, paint: Paint): string[] {
  const { latencyMs, histogram } = result;
  const number = (value: number): string => paint('bold', value.toLocaleString('en'));
  const lines = [
    `clients       ${number(result.connections)} connected in ${result.connectMs} ms`,
    `publications  ${number(result.published)} in ${(result.durationMs / SECOND_MS).toFixed(1)} s`,
    `deliveries    ${number(result.deliveries)}, ${number(result.deliveriesPerSecond)} per second`,
  ];
  if (latencyMs !== null) {
    const { min, mean, p50, p90, p99, p999, max } = latencyMs;
    const named = { min, mean, p50, p90, p99, 'p99.9': p999, max };
    const values = Object.entries(named).map(([name, ms]) => `${name} ${paint('bold', String(ms))}`);
    lines.push(`latency (ms)  ${values.join('  ')}`, '', ...drawHistogram(histogram, paint));
  }
  return [...lines, ...warningsOf(result).map((text) => `${paint('yellow', '!')} ${text}`)];
}

function warningsOf(result: BenchResult): string[] {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([reason, count]) => `${count} × ${reason}`)
      .join(', ');
  const texts: [boolean, string][] = [
    [
      Object.keys(result.failedConnects).length > 0,
      `clients did not connect: ${list(result.failedConnects)}`,
    ],
    [
      Object.keys(result.failedPublications).length > 0,
      `publications failed: ${list(result.failedPublications)}`,
    ],
    [
      result.skippedPublications > 0,
      `${result.skippedPublications} publications were left out: 1,000 had no answer`,
    ],
    [result.missingDeliveries > 0, `${result.missingDeliveries} deliveries are missing`],
    [
      result.lostConnections > 0,
      `${result.lostConnections} connections were closed; the log of gusher has the reason`,
    ],
    [result.isBenchBusy, 'this process was busy all the time: the latencies are also its own'],
  ];
  return texts.filter(([applies]) => applies).map(([, text]) => text);
}

function hasFailed(result: BenchResult): boolean {
  const { failedConnects, failedPublications, missingDeliveries, lostConnections } = result;
  const errors = Object.keys(failedConnects).length + Object.keys(failedPublications).length;
  return errors + missingDeliveries + lostConnections > 0;
}
