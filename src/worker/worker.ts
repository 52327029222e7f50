import { DEMO_APP } from '../shared/apps/app.ts';
import { AppRegistry } from '../shared/apps/app-registry.ts';
import type { AppStore } from '../shared/apps/app-store.ts';
import { AppsFileHistory } from '../shared/apps/apps-file-history.ts';
import { createAppStore } from '../shared/apps/create-app-store.ts';
import { InvalidAppLog } from '../shared/apps/invalid-app-log.ts';
import { ERRORS } from '../shared/errors/catalogue.ts';
import type { ToWorker } from '../shared/ipc/messages.ts';
import { ClientLog } from '../shared/logging/client-log.ts';
import type { Logger } from '../shared/logging/log.ts';
import { UnexpectedErrors } from '../shared/logging/unexpected-errors.ts';
import { createStats, type Stats } from '../shared/metrics/stats.ts';
import { Closers } from '../shared/process/closers.ts';
import { SHUTDOWN_FRACTIONS } from '../shared/process/shutdown-budget.ts';
import { Tap } from '../shared/tail/tap.ts';
import { type Auth, createAuth } from './auth/create-auth.ts';
import { type Api, createApi } from './create-api.ts';
import { type ConnectionLayer, createConnectionLayer } from './create-connection-layer.ts';
import { createHub, type HostState, type HubLayer, nextHostState } from './create-hub.ts';
import { UpgradeFastPath } from './handshake/upgrade-fast-path.ts';
import type { UpgradeRequest } from './handshake/upgrade-request.ts';
import { SocketReceiver } from './ipc/socket-receiver.ts';
import { drain } from './lifecycle/drain.ts';
import { StatsReporter } from './metrics/stats-reporter.ts';
import { WorkerGaugeReader } from './metrics/worker-gauges.ts';
import { Tracer } from './tracing/tracer.ts';
import type { WorkerContext } from './worker-context.ts';
import type { WorkerPipe } from './worker-pipe.ts';

/** Time in which the SDK must export the last spans. */
const TRACES_TIMEOUT_MS = 1_000;

type StartMessage = ToWorker & { type: 'start' };
type WorkerMessage = Exclude<ToWorker, { type: 'start' | 'drain' }>;

export interface WorkerOptions {
  readonly slot: StartMessage['slot'];
  readonly settings: StartMessage['settings'];
  readonly hostId: StartMessage['hostId'];
  readonly demoApp: StartMessage['demoApp'];
  readonly appsFileExisted: StartMessage['appsFileExisted'];
  readonly pipe: WorkerPipe;
  readonly log: Logger;
}

/** Creates the parts of a worker, opens them, passes them the messages of the primary, and drains them. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #stats: Stats = createStats();
  readonly #unexpected: UnexpectedErrors;
  readonly #tap: Tap;
  readonly #appsFileHistory: AppsFileHistory;
  readonly #store: AppStore;
  readonly #apps: AppRegistry;
  readonly #auth: Auth;
  /** `undefined` without tracing. */
  readonly #tracer: Tracer | undefined;
  readonly #hubLayer: HubLayer;
  readonly #api: Api;
  readonly #connectionLayer: ConnectionLayer;
  #host: HostState = { live: false, connected: 0, stopping: false, outages: 0 };
  #statsReporter: StatsReporter | undefined;
  readonly #gauges: WorkerGaugeReader;
  #draining: Promise<boolean> | undefined;

  constructor(options: WorkerOptions) {
    const { settings, hostId, demoApp, pipe, log } = options;
    const stats = this.#stats;
    const unexpected = new UnexpectedErrors({ log, stats });
    const tap = new Tap({
      source: { worker: options.slot },
      send: (batches) => pipe.send({ type: 'tailEntries', batches }),
    });
    const clientLog = new ClientLog({ log, stats, tap });
    const host = (): HostState => this.#host;
    const isUpgrade = (request: UpgradeRequest): boolean => this.#connectionLayer.upgrade.isFor(request);
    this.#options = options;
    this.#unexpected = unexpected;
    this.#tap = tap;

    const history = new AppsFileHistory({
      existed: options.appsFileExisted,
      onFirstRead: () => pipe.send({ type: 'appsFileRead' }),
    });
    const store = createAppStore(settings, {
      onInvalidApp: new InvalidAppLog({ log }).onInvalidApp,
      history,
    });
    const allowUnregistered = settings.jwtPublicKey !== undefined;
    const apps = new AppRegistry({ store, demoApp, allowUnregistered, log });
    const auth = createAuth({ settings, apps, stats, log });
    const context: WorkerContext = { settings, apps, stats, unexpected, clientLog, log };
    const tracer =
      settings.tracing === 'on' ? new Tracer({ slot: options.slot, unexpected, log }) : undefined;
    this.#tracer = tracer;
    const hubLayer = createHub({ ...context, tap, tracer, hostId, pipe, host });
    const { tokens } = auth;
    const api = createApi({
      ...context,
      tracer,
      slot: options.slot,
      store,
      tokens,
      hubLayer,
      isUpgrade,
      pipe,
      host,
    });
    const { server } = api.publicServer;
    this.#connectionLayer = createConnectionLayer({ ...context, tap, auth, hubLayer, server });
    new SocketReceiver(new UpgradeFastPath(server, isUpgrade), hubLayer.sockets);
    this.#appsFileHistory = history;
    this.#store = store;
    this.#apps = apps;
    this.#auth = auth;
    this.#hubLayer = hubLayer;
    this.#gauges = new WorkerGaugeReader({
      broker: hubLayer.broker,
      connections: () => hubLayer.hub.connections(),
    });
    this.#api = api;
  }

  /** Opens the broker, then the API. */
  async open(): Promise<void> {
    const { pipe } = this.#options;
    this.#statsReporter = new StatsReporter({
      stats: this.#stats,
      send: (message) => pipe.send(message),
    });
    await this.#tracer?.open();
    await Promise.all([this.#hubLayer.open(), this.#api.readiness.open(), this.#connectionLayer.open()]);
    this.#api.apiServer.open();
  }

  /** Handles a message of the primary. */
  receive(message: WorkerMessage): void {
    this.#unexpected.run('primary_message', () => this.#receive(message));
  }

  /** Handles a frame of the embedded broker. */
  receiveFrame(topic: string, frame: Buffer): void {
    this.#hubLayer.relay?.receiveFrame(topic, frame);
  }

  /** Reports a rejected promise without a handler. */
  reportRejection(error: unknown): void {
    this.#unexpected.report(error, 'promise');
  }

  /** Closes all clients, finishes requests in progress, and closes every part. Resolves with true without an error. */
  drain(timeoutMs: number): Promise<boolean> {
    this.#draining ??= this.#drain(timeoutMs);
    return this.#draining;
  }

  #receive(message: WorkerMessage): void {
    switch (message.type) {
      case 'host':
        this.#host = nextHostState(this.#host, message);
        if (message.server !== undefined) this.#hubLayer.broker.follow(message.server);
        break;
      case 'names':
        this.#hubLayer.names.renew(message.bytes);
        break;
      case 'allowanceGrant':
      case 'allowanceRecall':
        this.#hubLayer.appAllowances.receive(message);
        break;
      case 'rateGrant':
      case 'bytesOutExceeded':
        this.#hubLayer.appRates.receive(message);
        break;
      case 'appsFileRead':
        this.#appsFileHistory.adopt();
        break;
      case 'demoEnded':
        this.#endDemo();
        break;
      case 'deliveryReportAsk':
        this.#hubLayer.deliveryTracker.ask(message.report, message.topic);
        break;
      case 'deliveryReport':
        this.#api.deliveryReports.receive(message);
        break;
      case 'metricsCollect':
        void this.#reportMetrics();
        break;
      case 'metrics':
        this.#api.metrics.receive(message);
        break;
      case 'tails':
        this.#tap.follow(message.tails);
        break;
      case 'tailOpened':
      case 'tailReceived':
        this.#api.tails.receive(message);
        break;
      case 'idempotencyResult':
        this.#api.idempotency.receive(message);
        break;
      case 'relayReceived':
      case 'relayCached':
      case 'relaySubscribed':
        this.#hubLayer.relay?.receive(message);
        break;
      case 'presenceAnswer':
      case 'presenceEvents':
        this.#hubLayer.presence.receive(message);
        break;
      default:
        message satisfies never;
    }
  }

  async #reportMetrics(): Promise<void> {
    const gauges = await this.#gauges.read();
    this.#options.pipe.send({ type: 'metricsReport', stats: this.#stats, gauges });
  }

  #endDemo(): void {
    this.#apps.endDemo();
    for (const connection of [...this.#hubLayer.hub.connections()]) {
      if (connection.appKey === DEMO_APP.key)
        this.#connectionLayer.closeWithError(connection, ERRORS.demo_ended);
    }
  }

  #drain(timeoutMs: number): Promise<boolean> {
    const { log, settings } = this.#options;
    const { broker, hub, fanOut, sendQueue } = this.#hubLayer;
    const { drainClientsPerSecond: perSecond } = settings;
    const deadline = performance.now() + timeoutMs;
    const remainingMs = (): number => deadline - performance.now();
    const drainClients = (): Promise<void> =>
      drain({ fanOut, hub, sendQueue, perSecond, timeoutMs: remainingMs() * SHUTDOWN_FRACTIONS.clients });
    const closers = new Closers({ log });
    // Closed in reverse order. The heartbeat is last, so that the primary does not kill a draining worker.
    closers.add('heartbeat', () => this.#statsReporter?.close());
    closers.add('gauges', () => this.#gauges.close());
    closers.add('tracer', () => this.#tracer?.flush(Math.min(TRACES_TIMEOUT_MS, remainingMs() / 2)));
    this.#connectionLayer.addClosers(closers);
    closers.add('authenticator', () => this.#auth.close());
    closers.add('app store', () => this.#store.close());
    this.#hubLayer.addClosers(closers);
    this.#api.addClosers(closers, remainingMs);
    closers.add('clients', drainClients, timeoutMs);
    closers.add('publications in flight', () => broker.settle());
    closers.add('handshake', () => {
      this.#connectionLayer.upgrade.stop();
      this.#api.publicServer.stop();
    });
    return closers.close();
  }
}
