import type { SettingName, Settings } from '../shared/config/settings.ts';
import { ERRORS } from '../shared/errors/catalogue.ts';
import { createLog, type Logger } from '../shared/log.ts';
import { ClientLog } from '../shared/logging/client-log.ts';
import { takeOverConsole } from '../shared/logging/console-lines.ts';
import type { Address } from '../shared/net/address.ts';
import { Closers } from '../shared/process/closers.ts';
import { createStats } from '../shared/stats.ts';
import { chooseDemo, DemoWatch, demoLines } from './demo-mode.ts';
import { SocketDispatcher } from './dispatch/dispatcher.ts';
import type { PendingSocket } from './dispatch/pending-socket.ts';
import { SocketQueue } from './dispatch/socket-queue.ts';
import { ApiListener } from './listeners/api-listener.ts';
import { PublicListener } from './listeners/public-listener.ts';
import { PresenceCluster } from './presence/cluster/cluster.ts';
import { PresenceQueryServer } from './presence/query-server.ts';
import { PresenceRegistry } from './presence/registry.ts';
import { maxPendingSockets, openFilesLimit } from './process/file-descriptors.ts';
import { watchSignals } from './process/signals.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { createWebhooks } from './webhooks/create-webhooks.ts';

/** Of the shutdown deadline, what is left to workers; the rest is for killing those that missed it. */
const DRAIN_FRACTION = 0.9;
/** How long webhooks may still take then; they are tried again for minutes only while gusher runs. */
const WEBHOOKS_TIMEOUT_MS = 3_000;
/** With fewer, a reconnect of all clients of a small installation has to wait. */
const FEW_SOCKETS = 1_000;
/** Beyond the deadline of the workers, at which they are killed: the end of a process that was killed is not far. */
const DRAIN_GRACE_MS = 10_000;

/**
 * Runs gusher until it is told to stop, or cannot go on. Starts in order (port, workers, welcome), stops in
 * reverse. Resolves with the exit code: 0 after a graceful stop, 1 otherwise.
 */
export async function runPrimary(
  given: Settings,
  names: ReadonlySet<SettingName>,
  warnings: readonly string[] = [],
): Promise<number> {
  const log = createLog(given, { process: 'primary', pid: process.pid });
  takeOverConsole(log);
  exitOnUncaughtException(log);
  for (const warning of warnings) log.warn({ event: 'setting_warning', warning }, 'questionable setting');
  const { settings: chosen, demoApp } = await chooseDemo(given, names, log);
  const settings = { ...chosen, pendingSocketsMax: limitPendingSockets(chosen, names, log) };
  const dispatcher = new SocketDispatcher();
  const registry = new PresenceRegistry();
  const presenceServer = new PresenceQueryServer(registry);
  const cluster = createCluster(settings, registry, log);
  const webhooks = createWebhooks({ settings, demoApp, registry, log });
  const clientLog = new ClientLog({ log, stats: createStats() });
  const socketQueue = new SocketQueue({
    settings,
    clientLog,
    dispatch: (pendingSocket: PendingSocket) => dispatcher.dispatch(pendingSocket),
    whyNot: (port) => (dispatcher.isFull(port) ? ERRORS.no_descriptors : ERRORS.no_worker),
  });
  const publicListener = new PublicListener({ settings, socketQueue, clientLog, log });
  const apiListener = new ApiListener({ settings, socketQueue, log });
  const supervisor = new Supervisor({
    settings,
    demoApp,
    socketQueue,
    dispatcher,
    presenceServer,
    registry,
    webhooks,
    log,
    onBrokerServer: (server) => cluster?.follow(server),
  });
  const demo = demoApp && new DemoWatch({ settings, ended: () => supervisor.endDemo(), log });
  const stop = watchSignals({ log });
  let failed = false;
  /** What the workers came to: true if all ended well, or the signal that did not let them. */
  let drained: boolean | NodeJS.Signals = true;
  const closers = new Closers({ log });
  closers.add('demo watch', () => demo?.close());
  closers.add('presence cluster', () => cluster?.close());
  closers.add('webhooks', () =>
    webhooks.close(typeof drained === 'string' || failed ? 0 : WEBHOOKS_TIMEOUT_MS),
  );
  closers.add('socket queue', () => socketQueue.closeLingering());
  closers.add('API listener', () => {
    apiListener.close();
    socketQueue.close('api');
  });
  closers.add(
    'workers',
    async () => {
      const timeoutMs = settings.shutdownTimeoutMs * DRAIN_FRACTION;
      drained = await Promise.race([supervisor.drain(timeoutMs), failed ? stop.first : stop.second]);
      if (typeof drained === 'string') supervisor.killAll(`a second ${drained}`);
    },
    settings.shutdownTimeoutMs + DRAIN_GRACE_MS,
  );
  closers.add('public listener', () => {
    publicListener.close();
    socketQueue.close('public');
  });
  closers.add('readiness', () => supervisor.markStopping());
  try {
    const listen = await publicListener.open();
    const apiListen = await apiListener.open();
    cluster?.open();
    const started = await Promise.race([supervisor.start(), stop.first]);
    if (started === undefined) announce(log, { ...settings, listen, apiListen }, demoApp);
    const signal = await Promise.race([stop.first, supervisor.failure]);
    log.info({ event: 'stopping', signal, timeoutMs: settings.shutdownTimeoutMs }, 'shutting down');
  } catch (error) {
    failed = true;
    log.fatal({ event: 'start_failed', reason: (error as Error).message }, 'startup failed');
    process.stderr.write(`gusher: ${(error as Error).message}\n`);
  }
  const closed = await closers.close();
  const clean = closed && drained === true;
  log.info({ event: 'stopped', clean }, 'stopped');
  return clean && !failed ? 0 : 1;
}

/**
 * A programming error ends the primary, with a line that says so: what it still knows cannot be trusted. The
 * workers notice, say goodbye to their clients and end too.
 */
function exitOnUncaughtException(log: Logger): void {
  process.on('uncaughtException', (error) => {
    log.fatal({ event: 'primary_failed', err: error }, 'primary crashed');
    process.exit(1);
  });
}

/** Tells the operator only of a limit that is low, or that the setting cannot be had. */
function limitPendingSockets(settings: Settings, names: ReadonlySet<SettingName>, log: Logger): number {
  const openFiles = openFilesLimit();
  const pendingSocketsMax = maxPendingSockets(settings, openFiles);
  if (pendingSocketsMax < settings.pendingSocketsMax) {
    const level = names.has('pendingSocketsMax') || pendingSocketsMax < FEW_SOCKETS ? 'warn' : 'debug';
    const facts = { event: 'open_files_limit_low', openFiles, pendingSocketsMax };
    log[level](facts, 'open files limit is low, fewer sockets can wait; raise LimitNOFILE or ulimit -n');
  }
  return pendingSocketsMax;
}

/** Hosts know of each other by the Redis they share. */
function createCluster(
  { redisUrl, redisPrefix }: Settings,
  registry: PresenceRegistry,
  log: Logger,
): PresenceCluster | undefined {
  return redisUrl === undefined
    ? undefined
    : new PresenceCluster({ url: redisUrl, prefix: redisPrefix, registry, log });
}

function announce(
  log: Logger,
  settings: Settings & { listen: Address },
  demoApp: Awaited<ReturnType<typeof chooseDemo>>['demoApp'],
): void {
  const { listen, apiListen, workers } = settings;
  log.info(
    { event: 'ready', listen, apiListen, workers, broker: settings.redisUrl ? 'redis' : 'relay' },
    'ready',
  );
  if (demoApp !== undefined) process.stdout.write(demoLines(settings));
}
