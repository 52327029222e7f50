import type { App } from '../shared/apps/app.ts';
import { AppsFileHistory } from '../shared/apps/apps-file-history.ts';
import type { SettingName, Settings } from '../shared/config/settings.ts';
import { ERRORS } from '../shared/errors/catalogue.ts';
import { ClientLog } from '../shared/logging/client-log.ts';
import { redirectConsole } from '../shared/logging/console-lines.ts';
import { createLog, type Logger } from '../shared/logging/log.ts';
import { ProcessGaugeReader } from '../shared/metrics/process-gauges.ts';
import { createStats } from '../shared/metrics/stats.ts';
import type { Address } from '../shared/net/address.ts';
import { Closers } from '../shared/process/closers.ts';
import { SHUTDOWN_FRACTIONS } from '../shared/process/shutdown-budget.ts';
import { version } from '../shared/version.ts';
import { chooseDemo, DemoWatch, demoLines } from './demo-mode.ts';
import { AddressConnections } from './dispatch/address-connections.ts';
import { SocketDispatcher } from './dispatch/dispatcher.ts';
import { LingeringClose } from './dispatch/lingering-close.ts';
import { SocketQueue } from './dispatch/socket-queue.ts';
import { AddressLimits } from './listeners/address-limits.ts';
import { ApiListener } from './listeners/api-listener.ts';
import { PublicListener } from './listeners/public-listener.ts';
import { Metrics } from './metrics/metrics.ts';
import { PresenceCluster } from './presence/cluster/cluster.ts';
import { PresenceQueryServer } from './presence/query-server.ts';
import { PresenceRegistry } from './presence/registry.ts';
import { maxPendingSockets, openFilesLimit } from './process/file-descriptors.ts';
import { type StopSignals, watchSignals } from './process/signals.ts';
import { Supervisor } from './supervisor/supervisor.ts';
import { Tails } from './tails.ts';
import { createWebhooks } from './webhooks/create-webhooks.ts';
import type { Webhooks } from './webhooks/webhooks.ts';

/** How long webhook deliveries may take during a shutdown. While gusher runs they are retried for minutes. */
const WEBHOOKS_TIMEOUT_MS = 3_000;
/** With fewer pending sockets, even the clients of a small installation cannot all reconnect at once. */
const FEW_SOCKETS = 1_000;
/** Time beyond the shutdown timeout, at which workers are killed: the system may take a moment to end them. */
const KILL_GRACE_MS = 10_000;

interface PrimaryOptions {
  readonly settings: Settings;
  readonly demoApp: App | undefined;
  readonly appsFileHistory: AppsFileHistory;
  readonly log: Logger;
}

interface Primary {
  readonly socketQueue: SocketQueue;
  readonly lingeringClose: LingeringClose;
  readonly publicListener: PublicListener;
  readonly apiListener: ApiListener;
  readonly cluster: PresenceCluster | undefined;
  readonly webhooks: Webhooks;
  readonly supervisor: Supervisor;
  readonly demoWatch: DemoWatch | undefined;
}

/**
 * Runs gusher until a signal stops it or it fails. Starts in order (ports, workers) and stops in reverse order.
 * Resolves with the exit code: 0 after a graceful stop, 1 otherwise.
 */
export async function runPrimary(
  given: Settings,
  names: ReadonlySet<SettingName>,
  warnings: readonly string[] = [],
): Promise<number> {
  const log = createLog(given, { process: 'primary', pid: process.pid });
  redirectConsole(log);
  exitOnUncaughtException(log);
  for (const warning of warnings) log.warn({ event: 'setting_warning', warning }, 'questionable setting');
  let primary: Primary | undefined;
  const appsFileHistory = new AppsFileHistory({
    onFirstRead: () => primary?.supervisor.broadcast({ type: 'appsFileRead' }),
  });
  const { settings: chosen, demoApp } = await chooseDemo(given, names, { history: appsFileHistory, log });
  const settings = { ...chosen, pendingSocketsMax: limitPendingSockets(chosen, names, log) };
  const options = { settings, demoApp, appsFileHistory, log };
  primary = createPrimary(options, names);
  const stop = watchSignals({ log });
  const hasFailed = !(await serveUntilStopped(primary, stop, options));
  const isClean = await closePrimary(primary, { stop, hasFailed, ...options });
  log.info({ event: 'stopped', clean: isClean }, 'stopped');
  return isClean && !hasFailed ? 0 : 1;
}

function createPrimary(options: PrimaryOptions, names: ReadonlySet<SettingName>): Primary {
  const { settings, demoApp, appsFileHistory, log } = options;
  const addresses = new AddressConnections();
  const dispatcher = new SocketDispatcher({ addresses });
  const addressLimits = new AddressLimits({ settings, names, connections: addresses });
  const registry = new PresenceRegistry();
  const presenceServer = new PresenceQueryServer(registry);
  const onProblem = (reason: string | undefined): void => supervisor.setPresenceProblem(reason);
  const cluster = createCluster(settings, { registry, onProblem, log });
  const webhooks = createWebhooks({ settings, demoApp, appsFileHistory, registry, log });
  const tails = new Tails({
    send: (slot, message) => supervisor.send(slot, message),
    broadcast: (message) => supervisor.broadcast(message),
    unsentBytes: (slot) => supervisor.unsentBytes(slot),
  });
  const stats = createStats();
  const clientLog = new ClientLog({ log, stats, tap: tails.tap });
  const lingeringClose = new LingeringClose({ clientLog, maxSockets: settings.pendingSocketsMax });
  const socketQueue = new SocketQueue({
    settings,
    lingeringClose,
    dispatch: (pendingSocket) => dispatcher.dispatch(pendingSocket),
    unavailableError: (port) => (dispatcher.isFull(port) ? ERRORS.no_descriptors : ERRORS.no_worker),
  });
  const gauges = new ProcessGaugeReader();
  const metrics = new Metrics({
    stats,
    readPrimary: async () => ({
      ...supervisor.state,
      gauges: await gauges.read(),
      openFilesLimit: openFilesLimit(),
      pendingSockets: {
        head: publicListener.pendingSockets,
        worker: socketQueue.size,
        close: lingeringClose.size,
      },
      names: { bytes: registry.nameBytes, maxBytes: settings.namesMaxBytes },
      presence: registry.totals,
      eventWebhooks: webhooks.stats,
      eventWebhooksQueued: webhooks.queued,
      version,
    }),
  });
  const supervisor: Supervisor = new Supervisor({
    settings,
    demoApp,
    appsFileHistory,
    socketQueue,
    dispatcher,
    presenceServer,
    registry,
    webhooks,
    metrics,
    tails,
    log,
    onBrokerServer: (server) => cluster?.follow(server),
  });
  const publicListener = new PublicListener({
    settings,
    socketQueue,
    lingeringClose,
    addressLimits,
    clientLog,
    log,
  });
  return {
    socketQueue,
    lingeringClose,
    publicListener,
    apiListener: new ApiListener({ settings, socketQueue, log }),
    cluster,
    webhooks,
    supervisor,
    demoWatch:
      demoApp &&
      new DemoWatch({
        settings,
        history: appsFileHistory,
        onEnd: () => supervisor.endDemo(),
        log,
      }),
  };
}

/** Resolves with true when a signal stops gusher, and with false when it cannot start or go on. */
async function serveUntilStopped(
  { publicListener, apiListener, cluster, supervisor }: Primary,
  stop: StopSignals,
  { settings, demoApp, log }: PrimaryOptions,
): Promise<boolean> {
  try {
    const listen = await publicListener.open();
    const apiListen = await apiListener.open();
    cluster?.open();
    const stopped = await Promise.race([supervisor.start(), stop.first]);
    if (stopped === undefined) announce(log, { ...settings, listen, apiListen }, demoApp);
    const signal = await Promise.race([stop.first, supervisor.failure]);
    log.info({ event: 'stopping', signal, timeoutMs: settings.shutdownTimeoutMs }, 'shutting down');
    return true;
  } catch (error) {
    log.fatal({ event: 'start_failed', reason: (error as Error).message }, 'startup failed');
    process.stderr.write(`gusher: ${(error as Error).message}\n`);
    return false;
  }
}

/** Closes everything in reverse order. Resolves with false if a part or a worker did not end by itself. */
async function closePrimary(
  primary: Primary,
  { settings, log, stop, hasFailed }: PrimaryOptions & { stop: StopSignals; hasFailed: boolean },
): Promise<boolean> {
  const { socketQueue, lingeringClose, publicListener, apiListener, supervisor } = primary;
  let workersClean = true;
  let webhooksTimeoutMs = hasFailed ? 0 : WEBHOOKS_TIMEOUT_MS;
  const drainWorkers = async (): Promise<void> => {
    const drained = supervisor.drain(settings.shutdownTimeoutMs * SHUTDOWN_FRACTIONS.workers);
    const outcome = await Promise.race([drained, hasFailed ? stop.first : stop.second]);
    workersClean = outcome === true;
    if (typeof outcome === 'boolean') return;
    supervisor.killAll(`a second ${outcome}`);
    webhooksTimeoutMs = 0;
  };
  const closers = new Closers({ log });
  closers.add('demo watch', () => primary.demoWatch?.close());
  closers.add('presence cluster', () => primary.cluster?.close());
  closers.add('webhooks', () => primary.webhooks.close(webhooksTimeoutMs));
  closers.add('socket queue', () => {
    socketQueue.close();
    lingeringClose.close();
  });
  closers.add('API listener', () => {
    apiListener.close();
    socketQueue.closePort('api');
  });
  closers.add('workers', drainWorkers, settings.shutdownTimeoutMs + KILL_GRACE_MS);
  closers.add('public listener', () => {
    publicListener.close();
    socketQueue.closePort('public');
  });
  closers.add('readiness', () => supervisor.markStopping());
  const isClosed = await closers.close();
  return isClosed && workersClean;
}

/**
 * After an unexpected error the state of the primary cannot be trusted, so it logs the error and exits. The workers
 * notice that, close their clients, and exit too.
 */
function exitOnUncaughtException(log: Logger): void {
  process.on('uncaughtException', (error) => {
    log.fatal({ event: 'primary_failed', err: error }, 'primary crashed');
    process.exit(1);
  });
}

/** Warns the operator only if the limit is low, or if it overrides a setting. */
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

/** The hosts that share a Redis form a cluster. */
function createCluster(
  { redisUrl, redisPrefix, namesMaxBytes }: Settings,
  options: Pick<ConstructorParameters<typeof PresenceCluster>[0], 'registry' | 'onProblem' | 'log'>,
): PresenceCluster | undefined {
  return redisUrl === undefined
    ? undefined
    : new PresenceCluster({ url: redisUrl, prefix: redisPrefix, namesMaxBytes, ...options });
}

function announce(log: Logger, settings: Settings & { listen: Address }, demoApp: App | undefined): void {
  const { listen, apiListen, workers } = settings;
  log.info(
    { event: 'ready', listen, apiListen, workers, broker: settings.redisUrl ? 'redis' : 'relay' },
    'ready',
  );
  if (demoApp !== undefined) process.stdout.write(demoLines(settings));
}
