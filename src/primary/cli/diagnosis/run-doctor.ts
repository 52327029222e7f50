import type { App } from '../../../shared/apps/app.ts';
import { SETTING_NAMES, type Settings } from '../../../shared/config/settings.ts';
import { ApiClient } from '../clients/api-client.ts';
import { readSettings } from '../load-settings.ts';
import { type Arguments, checkedUrl, numberOption } from '../options.ts';
import { printNote } from '../output.ts';
import { readApps } from './apps.ts';
import { exitWith, type Finding } from './finding.ts';
import { checkHost } from './host/check-host.ts';
import { checkBackends } from './network/backends.ts';
import { checkRedis } from './redis/check-redis.ts';
import { printReport } from './report.ts';
import { checkServer } from './server.ts';
import { checkSettings } from './settings.ts';

/** More than the heartbeat interval, for the time of the network. */
const HEARTBEAT_MARGIN_MS = 5_000;
const SILENCE_MAX_S = 600;

/** Examines and prints what the command line asks for. Rejects with the exit code. */
export async function runDoctor(argv: Arguments): Promise<void> {
  const resolution = readSettings(argv, SETTING_NAMES);
  const findings = checkSettings(resolution);
  const url = argv.url === undefined ? undefined : urlOf(argv);
  const report = resolution.kind === 'valid' ? await examine(resolution.settings, argv, url) : undefined;
  findings.push(...(report?.findings ?? []));
  printReport(findings, argv.json === true, report === undefined ? {} : { ceiling: report.ceiling });
  exitWith(findings, argv.strict === true);
}

async function examine(settings: Settings, argv: Arguments, url: URL | undefined) {
  const { findings, limits } = checkHost(settings.workers);
  findings.push(await checkServer(new ApiClient(settings)));
  // "gusher check" examines apps; an unreadable Redis is a finding of its own.
  const apps = await readApps(settings).then(
    ({ apps: all }) => all,
    (): App[] => [],
  );
  if (settings.redisUrl !== undefined) {
    const keys = apps.map(({ key }) => key);
    findings.push(...(await checkRedis(settings, keys)));
  }
  findings.push(...(await checkBackends(apps)));
  if (url !== undefined) findings.push(...(await examineProxy(settings, argv, url)));
  const [lowest] = limits;
  return { findings, ceiling: { connections: lowest?.connections ?? null, limits } };
}

async function examineProxy(settings: Settings, argv: Arguments, url: URL): Promise<Finding[]> {
  const silenceMs = silenceMsOf(argv) ?? settings.heartbeatIntervalMs + HEARTBEAT_MARGIN_MS;
  if (silenceMs > 0)
    printNote(`waiting up to ${Math.ceil(silenceMs / 1_000)} s for a heartbeat through the proxy`);
  // Imported here, because without --url the command does not need ws.
  const { checkProxy } = await import('./network/check-proxy.ts');
  return checkProxy({ url, app: String(argv.app), silenceMs, settings });
}

function urlOf(argv: Arguments): URL {
  const url = checkedUrl(String(argv.url));
  if (url.pathname === '/') url.pathname = `/ws/${encodeURIComponent(String(argv.app))}`;
  for (const name of ['auth', 'token']) {
    if (argv[name] !== undefined) url.searchParams.set(name, String(argv[name]));
  }
  return url;
}

function silenceMsOf(argv: Arguments): number | undefined {
  return argv.silence === undefined ? undefined : numberOption(argv, 'silence', 0, SILENCE_MAX_S) * 1_000;
}
