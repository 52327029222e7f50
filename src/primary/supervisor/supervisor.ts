import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { App } from '../../shared/apps/app.ts';
import type { AppsFileHistory } from '../../shared/apps/apps-file-history.ts';
import type { Settings } from '../../shared/config/settings.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import type { MalformedFrameError } from '../../shared/ipc/pipe-frame.ts';
import type { Logger } from '../../shared/logging/log.ts';
import { Deferred } from '../../shared/scheduling/deferred.ts';
import { DeliveryReports } from '../broker/delivery-reports.ts';
import { Relay } from '../broker/relay.ts';
import type { SocketDispatcher } from '../dispatch/dispatcher.ts';
import type { SocketQueue } from '../dispatch/socket-queue.ts';
import { IdempotencyStore } from '../idempotency-store.ts';
import { AllowanceServer } from '../limits/allowance-server.ts';
import { NameBudget } from '../limits/name-budget.ts';
import { RateServer } from '../limits/rate-server.ts';
import type { PrimaryState } from '../metrics/metric.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { PresenceQueryServer } from '../presence/query-server.ts';
import type { PresenceRegistry } from '../presence/registry.ts';
import type { Tails } from '../tails.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import { WorkerRestarts } from './worker-restarts.ts';
import { type KillCause, type SlotExit, type SlotListener, WorkerSlot } from './worker-slot.ts';

const CHECK_MS = 500;
/** A check that is later than this was itself delayed (a suspended machine), and proves nothing about the workers. */
const LATE_CHECK_MS = 3 * CHECK_MS;
const START_TIMEOUT_MS = 15_000;
const HOST_ID_BYTES = 6;

/** `running` → `stopping`: no worker is replaced → `failed`: a worker exited with an error in that time. */
type SupervisorState = 'running' | 'stopping' | 'failed';

/**
 * A young generation of 2 MB instead of 16. Most objects of a worker die within one turn of the event loop; the others
 * belong to a connection and live long. More space would not save collections, and V8 never returns it.
 */
const WORKER_HEAP = ['--max-semi-space-size=2'];

export interface SupervisorDependencies {
  readonly settings: Settings;
  readonly demoApp: App | undefined;
  readonly appsFileHistory: AppsFileHistory;
  readonly socketQueue: Pick<SocketQueue, 'enqueue' | 'flush'>;
  readonly dispatcher: SocketDispatcher;
  readonly presenceServer: PresenceQueryServer;
  readonly registry: Pick<PresenceRegistry, 'nameBytes' | 'nameBytesOf' | 'app' | 'channel'>;
  readonly webhooks: Pick<Webhooks, 'report'>;
  readonly metrics: Pick<Metrics, 'receive' | 'answer' | 'workerReady' | 'workerExited'>;
  readonly tails: Pick<Tails, 'receive' | 'dropWorker' | 'message'>;
  readonly log: Logger;
  /** The workers are connected to a Redis server, and it is not the same as before. */
  readonly onBrokerServer?: (server: string) => void;
}

/** Starts the workers, replaces those that exit or hang, handles their messages, and drains them. */
export class Supervisor implements SlotListener {
  readonly #dependencies: SupervisorDependencies;
  readonly #log: Logger;
  readonly #nameBudget: NameBudget;
  readonly #hostId = randomBytes(HOST_ID_BYTES).toString('base64url');
  readonly #allowances: AllowanceServer;
  readonly #rates: RateServer;
  readonly #deliveryReports = new DeliveryReports();
  #demoApp: App | undefined;
  readonly #slots: WorkerSlot[] = [];
  readonly #relay: Relay;
  readonly #idempotency: IdempotencyStore;
  readonly #restarts: WorkerRestarts;
  #livenessTimer: NodeJS.Timeout | undefined;
  #checkedAt = 0;
  #everReady = false;
  #state: SupervisorState = 'running';
  /** The Redis server to which a worker connected last. */
  #server: string | undefined;
  #presenceProblem: string | undefined;
  #nextChange = new Deferred();
  readonly #failure = new Deferred<never>();

  constructor(dependencies: SupervisorDependencies) {
    this.#dependencies = dependencies;
    this.#log = dependencies.log;
    this.#demoApp = dependencies.demoApp;
    const send = (slot: number, message: ToWorker): void => this.#slots[slot]?.send(message);
    this.#relay = new Relay({ log: dependencies.log });
    const { registry, presenceServer } = dependencies;
    this.#nameBudget = new NameBudget({
      nameBytes: () => registry.nameBytes + presenceServer.nameBytesOf(),
      maxBytes: dependencies.settings.namesMaxBytes,
      workers: dependencies.settings.workers,
      send: (message) => {
        for (const slot of this.#slots) slot.send(message);
      },
    });
    this.#allowances = new AllowanceServer({
      registry,
      nameBytesOf: (app) => registry.nameBytesOf(app) + presenceServer.nameBytesOf(app),
      workers: dependencies.settings.workers,
    });
    this.#rates = new RateServer({ workers: dependencies.settings.workers });
    this.#idempotency = new IdempotencyStore({ send });
    this.#restarts = new WorkerRestarts({
      workers: dependencies.settings.workers,
      everReady: () => this.#everReady,
      othersServe: () => this.#slots.some(({ state }) => state === 'ready'),
      start: (slot) => this.#startWorker(slot),
      giveUp: (error) => this.#failure.reject(error),
      log: dependencies.log,
    });
    // No caller needs to wait for it.
    this.failure.catch(ignoreFailure);
  }

  /** Rejects when gusher must stop; never resolves. */
  get failure(): Promise<never> {
    return this.#failure.promise;
  }

  /** What the metrics of the primary need. */
  get state(): Pick<PrimaryState, 'workers' | 'workerRestarts' | 'publicationsDropped'> {
    const workers = { starting: 0, ready: 0, draining: 0, gone: 0 };
    for (const { state } of this.#slots) workers[state] += 1;
    return { workers, workerRestarts: this.#restarts.counts, publicationsDropped: this.#relay.dropped };
  }

  /** Forks all workers. Resolves when each is ready; rejects as `failure` does. */
  async start(): Promise<void> {
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('../../worker/entry.js', import.meta.url)),
      args: [],
      execArgv: [...process.execArgv, ...WORKER_HEAP],
      // The first bytes of a client are sent as a Buffer, which the default, JSON, does not preserve.
      serialization: 'advanced',
      // The last one is the message pipe, at `PIPE_DESCRIPTOR` of the worker.
      stdio: ['inherit', 'inherit', 'inherit', 'ipc', 'pipe'],
    });
    this.#checkedAt = performance.now();
    this.#livenessTimer = setInterval(this.#checkLiveness, CHECK_MS);
    for (let number = 0; number < this.#dependencies.settings.workers; number += 1) {
      const slot = new WorkerSlot(number, this);
      this.#slots.push(slot);
      this.#startWorker(slot);
    }
    await Promise.race([
      this.#waitUntil(() => this.#slots.every((slot) => slot.state === 'ready')),
      this.failure,
    ]);
  }

  /** Sends to the worker in a slot. */
  send(slot: number, message: ToWorker): void {
    this.#slots[slot]?.send(message);
  }

  /** Sends to every worker. */
  broadcast(message: ToWorker): void {
    for (const slot of this.#slots) slot.send(message);
  }

  /** Bytes that the worker in a slot has not taken from its pipe. */
  unsentBytes(slot: number): number {
    return this.#slots[slot]?.pipe?.unsentBytes ?? 0;
  }

  /** Ends the demo app on every worker. */
  endDemo(): void {
    this.#demoApp = undefined;
    for (const slot of this.#slots) slot.send({ type: 'demoEnded' });
  }

  /** Reports to every worker why presence is not exchanged with other hosts; `undefined` if it is. */
  setPresenceProblem(reason: string | undefined): void {
    this.#presenceProblem = reason;
    this.#broadcastHostState();
  }

  /** Makes every worker report that it is not ready, and stops restarts. Clients stay connected. */
  markStopping(): void {
    if (this.#state === 'running') this.#state = 'stopping';
    this.#restarts.cancel();
    this.#broadcastHostState();
  }

  /** Drains every worker, and kills those that exceed the timeout. Resolves with true if all exited without an error. */
  async drain(timeoutMs: number): Promise<boolean> {
    const { dispatcher } = this.#dependencies;
    let isClean = true;
    // The workers must receive all publications before the drain message.
    this.#relay.flush();
    for (const slot of this.#slots) {
      if (slot.worker !== undefined) dispatcher.close(slot.worker, 'public');
      slot.drain(timeoutMs);
    }
    const timer = setTimeout(() => {
      isClean = false;
      this.killAll('it did not exit within the shutdown timeout');
    }, timeoutMs);
    await this.#waitUntil(() => this.#slots.every((slot) => slot.state === 'gone'));
    clearTimeout(timer);
    clearInterval(this.#livenessTimer);
    this.#nameBudget.close();
    return isClean && this.#state !== 'failed';
  }

  killAll(reason: string): void {
    for (const slot of this.#slots) if (slot.state !== 'gone') this.#kill(slot, 'shutdown', reason);
  }

  message(slot: WorkerSlot, message: ToPrimary): void {
    switch (message.type) {
      case 'ready':
        this.#handleReady(slot);
        break;
      case 'appsFileRead':
        this.#dependencies.appsFileHistory.recordRead();
        break;
      case 'fatal':
        this.#failStart(slot, message.reason);
        break;
      case 'deliveryReportQuery':
        this.#deliveryReports.query(message, this.#readySenders(), (answer) => slot.send(answer));
        break;
      case 'deliveryReportPart':
        this.#deliveryReports.receive(slot.number, message);
        break;
      case 'heartbeat':
      case 'metricsReport':
        this.#dependencies.metrics.receive(slot.number, message);
        break;
      case 'metricsQuery':
        void this.#dependencies.metrics.answer(message, (answer) => slot.send(answer));
        break;
      case 'sockets':
        this.#handleSocketReport(slot, message);
        break;
      case 'brokerStatus':
        slot.brokerStatus = message.status;
        slot.server = message.server;
        if (message.status === 'connected') this.#setServer(message.server);
        this.#broadcastHostState();
        break;
      case 'relaySubscribe':
      case 'relayUnsubscribe':
      case 'relayCacheQuery':
        this.#relay.receive(slot.number, message);
        break;
      case 'idempotencyClaim':
      case 'idempotencyCompleted':
        this.#idempotency.receive(slot.number, message);
        break;
      case 'allowanceRequest':
      case 'allowanceHeld':
        this.#allowances.receive(slot.processName, message);
        break;
      case 'rateRequest':
      case 'bytesOut':
        this.#rates.receive(slot.processName, message);
        break;
      case 'webhookReports':
        this.#dependencies.webhooks.report(message.reports);
        break;
      case 'tailOpen':
      case 'tailClose':
      case 'tailEntries':
        this.#dependencies.tails.receive(slot.number, message);
        break;
      case 'presence':
      case 'presenceQuery':
      case 'presenceJoin':
      case 'presenceUnsubscribe':
        this.#dependencies.presenceServer.receive(slot.processName, message);
        break;
      default:
        message satisfies never;
    }
  }

  relayFrame(slot: WorkerSlot, topic: string, frame: Buffer): void {
    this.#relay.forward(slot.number, topic, frame);
  }

  malformed(slot: WorkerSlot, error: MalformedFrameError): void {
    this.#log.error(
      { event: 'ipc_message_malformed', slot: slot.number, err: error },
      'worker sent a malformed frame',
    );
    this.#kill(slot, 'malformed_frame', 'it sent a malformed frame');
  }

  exited(slot: WorkerSlot, exit: SlotExit): void {
    const { dispatcher, socketQueue, presenceServer } = this.#dependencies;
    this.#relay.dropWorker(slot.number);
    this.#idempotency.dropWorker(slot.number);
    this.#dependencies.tails.dropWorker(slot.number);
    presenceServer.close(slot.processName);
    this.#dependencies.metrics.workerExited(slot.number);
    this.#allowances.close(slot.processName);
    this.#rates.close(slot.processName);
    const unacknowledged = slot.worker === undefined ? [] : dispatcher.remove(slot.worker);
    if (this.#state === 'running') this.#restarts.exited(slot, exit);
    // The exit code of a worker that was never ready does not matter.
    else if (exit.code !== 0 && exit.servedMs !== undefined) this.#state = 'failed';
    for (const pendingSocket of unacknowledged) socketQueue.enqueue(pendingSocket);
    this.#broadcastHostState();
    this.#notifyChange();
  }

  startFailed(slot: WorkerSlot, { message: reason }: Error): void {
    if (this.#state !== 'running') return;
    this.#restarts.startFailed(slot, reason);
  }

  /** The relay is flushed first, so that publications arrive before a question about them. */
  #readySenders(): Map<number, (message: ToWorker) => void> {
    this.#relay.flush();
    const ready = this.#slots.filter(({ state }) => state === 'ready' || state === 'draining');
    return new Map(ready.map((slot) => [slot.number, (message: ToWorker) => slot.send(message)]));
  }

  #startWorker(slot: WorkerSlot): void {
    const { settings, dispatcher, presenceServer } = this.#dependencies;
    const worker = slot.start();
    if (worker === undefined) return;
    dispatcher.add(worker);
    if (slot.pipe !== undefined) this.#relay.addWorker(slot.number, slot.pipe);
    presenceServer.open(slot.processName, (message) => slot.send(message));
    this.#allowances.open(slot.processName, (message) => slot.send(message));
    this.#rates.open(slot.processName, (message) => slot.send(message));
    slot.send({
      type: 'start',
      settings,
      slot: slot.number,
      hostId: this.#hostId,
      demoApp: this.#demoApp,
      appsFileExisted: this.#dependencies.appsFileHistory.existed,
    });
    slot.send(this.#nameBudget.message);
    const { message: tails } = this.#dependencies.tails;
    if (tails !== undefined) slot.send(tails);
  }

  #handleReady(slot: WorkerSlot): void {
    slot.becomeReady();
    this.#broadcastHostState();
    if (slot.state !== 'ready' || slot.worker === undefined) return;
    this.#everReady = true;
    this.#log.info(
      { event: 'worker_ready', slot: slot.number, worker: slot.worker.process.pid },
      'worker ready',
    );
    this.#dependencies.metrics.workerReady(slot.number, (message) => slot.send(message));
    this.#dependencies.dispatcher.open(slot.worker);
    this.#dependencies.socketQueue.flush();
    this.#notifyChange();
  }

  /** While gusher starts, this stops it. Later, the worker is replaced and the others continue. */
  #failStart(slot: WorkerSlot, reason: string): void {
    if (this.#everReady) slot.kill('start_failed', `it could not start: ${reason}`);
    else this.#failure.reject(new Error(reason));
  }

  #handleSocketReport(slot: WorkerSlot, sockets: ToPrimary & { type: 'sockets' }): void {
    if (slot.worker === undefined) return;
    const lost = this.#dependencies.dispatcher.handleReport(slot.worker, sockets);
    if (lost.length === 0) return;
    this.#log.warn(
      { event: 'worker_full', slot: slot.number, sockets: lost.length },
      'worker out of file descriptors: raise LimitNOFILE (systemd) or ulimit -n',
    );
    for (const pendingSocket of lost) this.#dependencies.socketQueue.enqueue(pendingSocket);
  }

  #kill(slot: WorkerSlot, cause: KillCause, reason: string): void {
    if (slot.worker !== undefined) {
      this.#dependencies.dispatcher.close(slot.worker, 'public');
      this.#dependencies.dispatcher.close(slot.worker, 'api');
    }
    slot.kill(cause, reason);
  }

  /** Kills workers whose event loop is blocked, or that do not become ready. */
  readonly #checkLiveness = (): void => {
    const now = performance.now();
    const isLate = now - this.#checkedAt > LATE_CHECK_MS;
    this.#checkedAt = now;
    for (const slot of this.#slots) {
      if (slot.state === 'gone' || slot.state === 'draining') continue;
      if (isLate) slot.lastHeartbeatAt = now;
      const silentMs = now - slot.lastHeartbeatAt;
      const allowedMs =
        slot.state === 'starting' ? START_TIMEOUT_MS : this.#dependencies.settings.workerLivenessTimeoutMs;
      if (silentMs > allowedMs)
        this.#kill(slot, 'unresponsive', `it sent no heartbeat for ${Math.round(silentMs)} ms`);
    }
  };

  #broadcastHostState(): void {
    const ready = this.#slots.filter((slot) => slot.state === 'ready');
    const server = this.#server;
    const isOnServer = (slot: WorkerSlot): boolean => (slot.server ?? server) === server;
    const connected = ready.filter((slot) => slot.brokerStatus === 'connected' && isOnServer(slot)).length;
    const live = connected > 0 && connected === ready.length;
    const presenceProblem = this.#presenceProblem;
    const host = {
      ...{ live, connected, stopping: this.#state !== 'running' },
      ...(server !== undefined && { server }),
      ...(presenceProblem !== undefined && { presenceProblem }),
    };
    for (const slot of this.#slots) slot.send({ type: 'host', ...host });
  }

  /** The server of the newest connection is the one to which the address of Redis leads now. */
  #setServer(server: string | undefined): void {
    if (server === undefined || server === this.#server) return;
    if (this.#server !== undefined) {
      this.#log.warn({ event: 'redis_server_changed', server }, 'Redis server changed');
    }
    this.#server = server;
    this.#dependencies.onBrokerServer?.(server);
  }

  #notifyChange(): void {
    this.#nextChange.resolve();
    this.#nextChange = new Deferred();
  }

  async #waitUntil(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#nextChange.promise;
  }
}

function ignoreFailure(): void {}
