import { DEMO_APP } from '../shared/apps/app.ts';
import { AppRegistry } from '../shared/apps/app-registry.ts';
import type { AppStore } from '../shared/apps/app-store.ts';
import { createAppStore } from '../shared/apps/create-app-store.ts';
import { InvalidAppLog } from '../shared/apps/invalid-app-log.ts';
import { ERRORS, type ErrorCode, type ErrorEntry } from '../shared/errors/catalogue.ts';
import { type ErrorBody, errorBodyAt as errorBodyOf } from '../shared/errors/http-error.ts';
import { BODILESS_METHODS } from '../shared/http/request-rules.ts';
import type { MessagePipe } from '../shared/ipc/message-pipe.ts';
import type { BrokerStatus, ToPrimary, ToWorker } from '../shared/ipc/messages.ts';
import type { Logger } from '../shared/log.ts';
import { ClientLog } from '../shared/logging/client-log.ts';
import { UnexpectedErrors } from '../shared/logging/unexpected-errors.ts';
import { CONTROL_TOPIC } from '../shared/model/control-message.ts';
import { publicationMaxBytes } from '../shared/model/publication-size.ts';
import { Closers } from '../shared/process/closers.ts';
import { SHUTDOWN_FRACTIONS } from '../shared/process/shutdown-budget.ts';
import { createStats, type Stats } from '../shared/stats.ts';
import { version } from '../shared/version.ts';
import { ApiServer } from './api/api-server.ts';
import { HttpServer } from './api/http/http-server.ts';
import { Router } from './api/http/router.ts';
import { registerPusherRoutes } from './api/pusher/routes.ts';
import { registerPublicRoutes, registerRoutes } from './api/routes.ts';
import { type Auth, createAuth } from './auth/create-auth.ts';
import type { Broker } from './broker/broker.ts';
import { createBroker } from './broker/create-broker.ts';
import { DuplicateFilter } from './broker/duplicate-filter.ts';
import { Publisher } from './broker/publisher.ts';
import type { PrimaryPipe, RelayBroker } from './broker/relay-broker.ts';
import type { Connection } from './connection/connection.ts';
import { ConnectionEvents } from './connection/connection-events.ts';
import { ReceiveQueue } from './connection/receive-queue.ts';
import type { SendQueue } from './connection/send-queue.ts';
import { createFlushCycle } from './flush-cycle.ts';
import { ConnectionQuota } from './handshake/connection-quota.ts';
import { createPusherHandshake } from './handshake/pusher/create-pusher-handshake.ts';
import { UpgradeFastPath } from './handshake/upgrade-fast-path.ts';
import { UpgradeHandler } from './handshake/upgrade-handler.ts';
import { registerUpgradeRoutes } from './handshake/upgrade-routes.ts';
import { WebSocketHandshake } from './handshake/websocket-handshake.ts';
import { ClientEvents } from './hub/client-events.ts';
import { ControlHandler } from './hub/control-handler.ts';
import type { FanOut } from './hub/fan-out.ts';
import { Hub } from './hub/hub.ts';
import { NameAllowance } from './hub/name-allowance.ts';
import { IdempotencyClient } from './ipc/idempotency-client.ts';
import { PresenceClient } from './ipc/presence-client.ts';
import { SocketReceiver } from './ipc/socket-receiver.ts';
import { drain } from './lifecycle/drain.ts';
import { Heartbeat } from './lifecycle/heartbeat.ts';
import { IdleTimeout } from './lifecycle/idle-timeout.ts';
import { Readiness } from './lifecycle/readiness.ts';
import { TokenExpiry } from './lifecycle/token-expiry.ts';
import { createGusherProtocol } from './protocols/gusher/create-gusher-protocol.ts';
import { createPusherProtocol } from './protocols/pusher/create-pusher-protocol.ts';
import type { PusherProtocol } from './protocols/pusher/pusher-protocol.ts';
import { createRemoteSink } from './remote/create-sink.ts';
import type { RemoteSink } from './remote/remotes.ts';
import { frameText } from './websocket/frame.ts';
import { FrameWriter } from './websocket/frame-writer.ts';

const HEARTBEAT_MS = 500;
/**
 * Connections of HTTP that a worker keeps open between requests on the public port. Attack: strangers that keep many;
 * beyond it each answer closes its connection.
 */
const KEPT_CONNECTIONS_MAX = 1_024;

export interface WorkerOptions {
  readonly settings: (ToWorker & { type: 'start' })['settings'];
  readonly demoApp: (ToWorker & { type: 'start' })['demoApp'];
  readonly pipe: PrimaryPipe & Pick<MessagePipe<ToWorker, ToPrimary>, 'send'>;
  readonly log: Logger;
}

/** The one place where the parts of a worker are joined. Each part gets just what it uses. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #stats: Stats = createStats();
  readonly #unexpected: UnexpectedErrors;
  readonly #store: AppStore;
  readonly #auth: Auth;
  readonly #broker: Broker;
  readonly #relay: RelayBroker | undefined;
  readonly #frameWriter = new FrameWriter();
  readonly #sendQueue: SendQueue;
  readonly #receiveQueue: ReceiveQueue;
  readonly #fanOut: FanOut;
  readonly #presence: PresenceClient;
  readonly #hub: Hub;
  /** Nothing may be added before the primary has said how much. */
  readonly #names = new NameAllowance(0);
  readonly #controlHandler: ControlHandler;
  readonly #heartbeat: Heartbeat;
  readonly #quota: ConnectionQuota;
  readonly #pusherProtocol: PusherProtocol;
  readonly #idleTimeout: IdleTimeout;
  readonly #expiry: TokenExpiry;
  readonly #remoteSink: RemoteSink;
  readonly #http: HttpServer;
  readonly #upgrade: UpgradeHandler;
  readonly #idempotency: IdempotencyClient;
  readonly #api: ApiServer;
  readonly #apps: AppRegistry;
  readonly #readiness: Readiness;
  #host = { live: false, stopping: false };
  #heartbeatTimer: NodeJS.Timeout | undefined;
  #drained: Promise<boolean> | undefined;

  constructor(options: WorkerOptions) {
    const { settings, demoApp, pipe, log } = options;
    const send = (message: ToPrimary): void => pipe.send(message);
    const stats = this.#stats;
    this.#options = options;
    this.#unexpected = new UnexpectedErrors({ log, stats });
    const unexpected = this.#unexpected;
    const clientLog = new ClientLog({ log, stats });

    this.#store = createAppStore(settings, new InvalidAppLog({ log }).onInvalidApp);
    const apps = new AppRegistry({
      store: this.#store,
      demoApp,
      allowUnregistered: settings.jwtPublicKey !== undefined,
      log,
    });
    this.#apps = apps;
    this.#auth = createAuth({ settings, apps, log });
    const { authenticator, tokens } = this.#auth;

    const { sendQueue, fanOut, sockets, presenceReporter, webhookReporter } = createFlushCycle({
      settings,
      pipe,
      clientLog,
      stats,
    });
    this.#sendQueue = sendQueue;
    this.#fanOut = fanOut;
    const { broker, relay } = createBroker({ settings, log, stats, pipe, isIdle: () => fanOut.isIdle });
    this.#broker = broker;
    this.#relay = relay;
    this.#presence = new PresenceClient({ send, flushReports: () => presenceReporter.flush() });
    this.#hub = new Hub({
      broker: this.#broker,
      fanOut: this.#fanOut,
      presence: presenceReporter,
      names: this.#names,
      stats,
    });
    this.#controlHandler = new ControlHandler({ hub: this.#hub, sendQueue: this.#sendQueue, stats });
    this.#receiveQueue = new ReceiveQueue({ ...settings, sendQueue: this.#sendQueue, unexpected, stats });
    this.#heartbeat = new Heartbeat({
      intervalMs: settings.heartbeatIntervalMs,
      hub: this.#hub,
      sendQueue: this.#sendQueue,
      unexpected,
      stats,
    });
    this.#idleTimeout = new IdleTimeout({
      afterMs: settings.pusherIdleTimeoutMs,
      hub: this.#hub,
      sendQueue: this.#sendQueue,
      unexpected,
    });

    this.#expiry = new TokenExpiry({
      sendQueue: this.#sendQueue,
      graceMs: settings.tokenRefreshGraceMs,
      unexpected,
      now: Date.now,
    });
    const publisher = new Publisher({
      broker: this.#broker,
      isLive: () => this.#host.live,
      mayHaveMissed: () => !this.#host.live && !this.#host.stopping,
      stats,
      maxBytes: publicationMaxBytes(settings),
    });
    const clientEvents = new ClientEvents({
      apps,
      hub: this.#hub,
      publisher,
      report: (appKey, event) => webhookReporter.report(appKey, event),
      perSecond: settings.clientEventsPerSecond,
    });
    this.#remoteSink = createRemoteSink({ settings, log });
    const reply = (connection: Connection, text: string): void =>
      this.#sendQueue.enqueue(connection, frameText(text));
    const protocol = createGusherProtocol({
      settings,
      apps,
      tokens,
      hub: this.#hub,
      receiveQueue: this.#receiveQueue,
      expiry: this.#expiry,
      clientEvents,
      remoteSink: this.#remoteSink,
      clientLog,
      reply,
    });
    this.#quota = new ConnectionQuota({
      apps,
      hub: this.#hub,
      presence: this.#presence,
      stats,
      end: (connection, error) => this.#endClient(connection, error),
    });
    this.#pusherProtocol = createPusherProtocol({
      settings,
      apps,
      hub: this.#hub,
      broker: this.#broker,
      sendQueue: this.#sendQueue,
      receiveQueue: this.#receiveQueue,
      presence: this.#presence,
      clientEvents,
      webhookReporter,
      clientLog,
      reply,
    });
    const connections = new ConnectionEvents({
      registry: this.#hub,
      receiveQueue: this.#receiveQueue,
      sendQueue: this.#sendQueue,
      frameWriter: this.#frameWriter,
      unexpected,
      onRemoved: (connection) => {
        this.#expiry.untrack(connection);
        // The primary routes only by ids of native clients.
        if (connection.pusher === undefined) sockets.reportClosed(connection.id);
      },
    });
    const { messageMaxBytes, compression } = settings;
    const handshake = new WebSocketHandshake({ messageMaxBytes, compression, unexpected, clientLog });
    const pusherHandshake = createPusherHandshake(settings, {
      apps,
      protocol: this.#pusherProtocol,
      handshake,
      connections,
      sendQueue: this.#sendQueue,
      quota: this.#quota,
      unexpected,
      clientLog,
    });
    const pusherApi = { settings, stats, apps, publisher, presence: this.#presence, cache: this.#broker };
    const { bodyMaxBytes, pusherPathPrefix } = settings;
    const errorBodyAt = (path: string): ErrorBody => errorBodyOf(path, pusherPathPrefix);
    const publicRequests: Router = new Router({
      unexpected,
      limits: { bodyMaxBytes, bodiless: BODILESS_METHODS },
      errorBodyAt,
      clientLog,
      stats,
      hint: (path) => {
        const isOfApi = apiRequests.has(path) || apiRequests.has(`/v1${path}`);
        return isOfApi ? 'api_port_only' : pathHint(path);
      },
    });
    registerPublicRoutes(publicRequests, { apps, tokens, readiness: () => this.#readiness.state });
    registerPusherRoutes(publicRequests, pusherApi);
    registerUpgradeRoutes(publicRequests, pusherPathPrefix);
    this.#http = new HttpServer({
      serve: publicRequests.serve,
      isUpgrade: (request) => this.#upgrade.isFor(request),
      errorBodyAt,
      headersMaxBytes: settings.headersMaxBytes,
      headTimeoutMs: settings.headersTimeoutMs,
      keptMax: KEPT_CONNECTIONS_MAX,
    });
    new SocketReceiver(
      new UpgradeFastPath(this.#http.server, (request) => this.#upgrade.isFor(request)),
      sockets,
    );
    this.#upgrade = new UpgradeHandler({
      server: this.#http.server,
      authenticator,
      protocol,
      handshake,
      pusherHandshake,
      connections,
      sendQueue: this.#sendQueue,
      quota: this.#quota,
      sockets,
      expiry: this.#expiry,
      unexpected,
      clientLog,
      limits: { bodyMaxBytes, bodiless: BODILESS_METHODS },
    });
    this.#readiness = new Readiness({
      broker: this.#broker,
      store: this.#store,
      host: () => this.#host,
      log,
    });
    this.#idempotency = new IdempotencyClient({ send });
    const apiRequests: Router = new Router({
      unexpected,
      limits: { bodyMaxBytes, bodiless: new Set() },
      errorBodyAt,
      clientLog,
      stats,
      hint: (path) => {
        if (publicRequests.has(path)) return 'public_port_only';
        return apiRequests.has(`/v1${path}`) ? 'version_missing' : pathHint(path);
      },
    });
    registerRoutes(apiRequests, {
      settings,
      stats,
      log,
      apps,
      store: this.#store,
      tokens,
      publisher,
      presence: this.#presence,
      idempotency: this.#idempotency,
      readiness: () => this.#readiness.state,
      version,
    });
    registerPusherRoutes(apiRequests, pusherApi);
    this.#api = new ApiServer({ sockets, requests: apiRequests, errorBodyAt });
  }

  /** Opens the broker, then the API. */
  async open(): Promise<void> {
    const send = (message: ToPrimary): void => this.#options.pipe.send(message);
    this.#heartbeatTimer = setInterval(() => send({ type: 'heartbeat', stats: this.#stats }), HEARTBEAT_MS);
    const duplicates = new DuplicateFilter();
    const broker = this.#broker.open({
      // A publication or a control message that cannot be carried out must not end every worker of every host.
      deliver: (topic, publication) => {
        try {
          if (duplicates.isFirst(topic, publication.id)) this.#hub.deliver(topic, publication);
        } catch (error) {
          this.#unexpected.report(error, 'delivery', { topic });
        }
      },
      control: (message) => {
        if (!duplicates.isFirst(CONTROL_TOPIC, message.id)) return;
        this.#unexpected.run('control_message', () => this.#controlHandler.execute(message));
      },
      statusChanged: (state: BrokerStatus) => {
        this.#hub.clearCachedEvents();
        const { server } = this.#broker;
        send({ type: 'brokerStatus', status: state, ...(server !== undefined && { server }) });
      },
      refused: (topic) => this.#unexpected.run('refused_topic', () => this.#hub.refuse(topic)),
    });
    await Promise.all([broker, this.#readiness.open(), this.#probeDirectWrites()]);
    this.#api.open();
  }

  receive(message: Exclude<ToWorker, { type: 'start' | 'drain' }>): void {
    this.#unexpected.run('primary_message', () => this.#receive(message));
  }

  /** Reports a promise that nothing waits for and that rejected. */
  reportRejection(error: unknown): void {
    this.#unexpected.report(error, 'promise');
  }

  #receive(message: Exclude<ToWorker, { type: 'start' | 'drain' }>): void {
    switch (message.type) {
      case 'host':
        this.#host = { live: message.live, stopping: message.stopping };
        if (message.server !== undefined) this.#broker.follow(message.server);
        break;
      case 'names':
        this.#names.renew(message.bytes);
        break;
      case 'demoEnded':
        this.#endDemo();
        break;
      case 'idempotencyResult':
        this.#idempotency.receive(message);
        break;
      case 'relayReceived':
      case 'relayCached':
      case 'relaySubscribed':
        this.#relay?.receive(message);
        break;
      case 'presenceAnswer':
      case 'presenceEvents':
        this.#presence.receive(message);
        break;
      default:
        message satisfies never;
    }
  }

  #endDemo(): void {
    this.#apps.endDemo();
    for (const connection of [...this.#hub.connections()]) {
      if (connection.appKey === DEMO_APP.key) this.#endClient(connection, ERRORS.demo_ended);
    }
  }

  /** Closes a client in the way of its protocol. */
  #endClient(connection: Connection, error: ErrorEntry): void {
    if (connection.pusher === undefined) this.#sendQueue.close(connection, error);
    else this.#pusherProtocol.closeWithError(connection, error);
  }

  /** Takes an item of the embedded broker. */
  receiveFrame(topic: string, pipe: Buffer): void {
    this.#relay?.receiveFrame(topic, pipe);
  }

  /**
   * Closes every client, finishes what is begun, and releases everything. Resolves with true if all of it was closed
   * without an error.
   */
  drain(timeoutMs: number): Promise<boolean> {
    this.#drained ??= this.#drain(timeoutMs);
    return this.#drained;
  }

  #drain(timeoutMs: number): Promise<boolean> {
    const { log } = this.#options;
    const { drainClientsPerSecond } = this.#options.settings;
    const until = performance.now() + timeoutMs;
    const closers = new Closers({ log });
    // The last one: until then the primary sees that this worker runs.
    closers.add('heartbeat', () => clearInterval(this.#heartbeatTimer));
    closers.add('token expiry', () => this.#expiry.close());
    closers.add('receive queue', () => this.#receiveQueue.close());
    closers.add('idle timeout', () => this.#idleTimeout.close());
    closers.add('heartbeat', () => this.#heartbeat.close());
    closers.add('Pusher protocol', () => this.#pusherProtocol.close());
    closers.add('connection quota', () => this.#quota.close());
    closers.add('remote sink', () => this.#remoteSink.close());
    closers.add('authenticator', () => this.#auth.close());
    closers.add('app store', () => this.#store.close());
    closers.add('presence client', () => this.#presence.close());
    closers.add('broker', () => this.#broker.close());
    closers.add('readiness', () => this.#readiness.close());
    closers.add('API', () => this.#api.close(until - performance.now()), timeoutMs);
    closers.add('public requests', () => this.#http.close(until - performance.now()), timeoutMs);
    closers.add(
      'clients',
      () =>
        drain({
          fanOut: this.#fanOut,
          hub: this.#hub,
          sendQueue: this.#sendQueue,
          perSecond: drainClientsPerSecond,
          timeoutMs: (until - performance.now()) * SHUTDOWN_FRACTIONS.clients,
        }),
      timeoutMs,
    );
    closers.add('publications in flight', () => this.#broker.settle());
    closers.add('handshake', () => {
      this.#upgrade.stop();
      this.#http.stop();
    });
    return closers.close();
  }

  /** How frames get to the sockets. */
  async #probeDirectWrites(): Promise<void> {
    const { settings, log } = this.#options;
    if (!settings.directWrites || (await this.#frameWriter.probe())) return;
    log.warn(
      { event: 'direct_writes_unavailable' },
      'direct writes unavailable on this Node.js version, using socket.write',
    );
  }
}

/** What is wrong with a path that leads nowhere, where the path itself shows it. */
function pathHint(path: string): ErrorCode | undefined {
  return path.includes('//') ? 'empty_segment' : undefined;
}
