import type { CommandModule } from 'yargs';
import { type App, DEMO_APP } from '../../../shared/apps/app.ts';
import { SETTING_NAMES, type Settings } from '../../../shared/config/settings.ts';
import { ApiClient } from '../clients/api-client.ts';
import { readApps } from '../diagnosis/apps.ts';
import { exitWith, type Finding } from '../diagnosis/finding.ts';
import { checkHost } from '../diagnosis/host/check-host.ts';
import { checkBackends } from '../diagnosis/network/backends.ts';
import { checkRedis } from '../diagnosis/redis/check-redis.ts';
import { printReport } from '../diagnosis/report.ts';
import { checkServer } from '../diagnosis/server.ts';
import { checkSettings } from '../diagnosis/settings.ts';
import { readSettings, settingOptions } from '../load-settings.ts';
import { type Arguments, checkedUrl, numberOption, reportOptions, textOption } from '../options.ts';
import { printNote } from '../output.ts';

/** More than the heartbeat interval, for the time of the network. */
const HEARTBEAT_MARGIN_MS = 5_000;
const SILENCE_MAX_S = 600;

/** `gusher doctor`: finds what keeps gusher from serving clients on this machine. */
export const doctorCommand: CommandModule = {
  command: 'doctor',
  describe: 'examine this machine, Redis, backends and the proxy; compute the connection ceiling',
  builder: (yargs) =>
    yargs
      .option('url', textOption('ws:// or wss:// URL of clients: examine the proxy there'))
      .option('app', textOption('app key for the connect to --url', { default: DEMO_APP.key }))
      .option('auth', textOption('credential for the auth webhook of the app'))
      .option('token', textOption('token (JWT) instead of --auth'))
      .option(
        'silence',
        textOption('seconds of silence at --url; 0 skips; default: heartbeat interval and 5'),
      )
      .options(reportOptions())
      .options(settingOptions())
      .example('$0 doctor', 'this machine, Redis and the backends of apps')
      .example('$0 doctor --url wss://push.example.com --app shop --auth s3cr3t', 'the proxy as well')
      .example('$0 doctor --json | jq .ceiling', 'the connections that this machine can hold')
      .epilogue(
        'Changes nothing: it calls each auth webhook with the credential "gusher-doctor", and writes keys to Redis that ' +
          'expire after 5 s. Exit code: 0 without a problem, 1 with a problem, 2 for a wrong command line, 3 for ' +
          'warnings with --strict.',
      ),
  handler: async (argv) => {
    const resolution = readSettings(argv, SETTING_NAMES);
    const findings = checkSettings(resolution);
    const url = argv.url === undefined ? undefined : urlOf(argv);
    const report = 'errors' in resolution ? undefined : await examine(resolution.settings, argv, url);
    findings.push(...(report?.findings ?? []));
    printReport(findings, argv.json === true, report === undefined ? {} : { ceiling: report.ceiling });
    exitWith(findings, argv.strict === true);
  },
};

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
  const { checkProxy } = await import('../diagnosis/network/check-proxy.ts');
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
