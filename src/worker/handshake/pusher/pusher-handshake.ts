import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import type { App } from '../../../shared/apps/app.ts';
import type { AppRegistry } from '../../../shared/apps/app-registry.ts';
import { ERRORS, type ErrorEntry, GusherError } from '../../../shared/errors/catalogue.ts';
import type { ClientLog } from '../../../shared/logging/client-log.ts';
import type { UnexpectedErrors } from '../../../shared/logging/unexpected-errors.ts';
import { percentDecode } from '../../../shared/net/percent-encoding.ts';
import { TimingWheel } from '../../../shared/scheduling/timing-wheel.ts';
import { requireAdmissible } from '../../auth/app-guards.ts';
import { Grants } from '../../auth/grants.ts';
import type { ClientSocket } from '../../connection/client-socket.ts';
import { Connection } from '../../connection/connection.ts';
import type { ConnectionEvents } from '../../connection/connection-events.ts';
import { newSession } from '../../connection/pusher-session.ts';
import type { SendQueue } from '../../connection/send-queue.ts';
import { closeCodeOf } from '../../protocols/pusher/close-codes.ts';
import { errorText, establishedText } from '../../protocols/pusher/messages.ts';
import type { PusherProtocol } from '../../protocols/pusher/pusher-protocol.ts';
import { frameText } from '../../websocket/frame.ts';
import type { ConnectionQuota } from '../connection-quota.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';
import type { WebSocketHandshake } from '../websocket-handshake.ts';
import { AdmissionQueue } from './admission-queue.ts';
import { PusherPath, type PusherTarget, protocolVersionError, protocolVersionOf } from './pusher-path.ts';

/**
 * Delay before the close code 4000, which makes a client reconnect at once by TLS. Hazard: behind a proxy that does
 * not forward the scheme, such a client would reconnect in a loop, as fast as it can.
 */
const TLS_REJECT_DELAY_MS = 1_000;
/** 2^47: two such numbers are unguessable, and every SDK reads each as a plain number. */
const ID_PART_MAX = 0x8000_0000_0000;

export interface PusherHandshakeDependencies {
  readonly apps: Pick<AppRegistry, 'find' | 'isServed'>;
  readonly protocol: PusherProtocol;
  readonly handshake: Pick<WebSocketHandshake, 'complete'>;
  readonly connections: Pick<ConnectionEvents, 'register'>;
  readonly sendQueue: Pick<SendQueue, 'enqueue'>;
  readonly quota: Pick<ConnectionQuota, 'settle'>;
  readonly unexpected: UnexpectedErrors;
  readonly clientLog: Pick<ClientLog, 'connectRejected'>;
  readonly pathPrefix: string;
  readonly strictProtocol: boolean;
  readonly activityTimeoutS: number;
  /** Connections that this worker admits. */
  readonly connectsPerSecond: number;
  /** The longest wait for `connection_established`, or for the close code 4100 instead of it. */
  readonly admissionTimeoutMs: number;
  /** How long a client of an app with `authorized_only` may take to authorize. */
  readonly authorizationTimeoutMs: number;
  /** Clients that may wait at this worker at once. */
  readonly admissionQueueMax: number;
}

/** A client whose handshake is complete, and that is not a connection yet. */
interface PendingClient {
  readonly client: ClientSocket;
  readonly socket: Socket;
  /** The app that the client may use, or why it may not. */
  readonly decision: App | GusherError;
  readonly protocolVersion: number;
  /** As the client named it. */
  readonly appKey: string;
}

type AdmissibleClient = PendingClient & { readonly decision: App };

/**
 * Accepts Pusher clients at `/app/{key}`. The protocol reports an error after the handshake, by `pusher:error` and a
 * close code. The steps:
 *
 * 1. check the app, and complete the WebSocket handshake
 * 2. reject the client, or wait for its admission
 * 3. register the connection, and check the connection limit of the app
 * 4. send `connection_established`
 */
export class PusherHandshake {
  readonly #dependencies: PusherHandshakeDependencies;
  readonly #path: PusherPath;
  readonly #admissionQueue: AdmissionQueue<AdmissibleClient>;
  /** Clients without TLS, until they are rejected. */
  readonly #withoutTls = new TimingWheel<PendingClient>({
    onExpire: (pending) => this.#guard(() => this.#reject(pending, ERRORS.tls_only)),
  });
  /** Connections that must authorize, until their time is over. */
  readonly #unauthorized = new TimingWheel<Connection>({
    onExpire: (connection) => this.#guard(() => this.#requireAuthorized(connection)),
  });
  #stopping = false;

  constructor(dependencies: PusherHandshakeDependencies) {
    this.#dependencies = dependencies;
    this.#path = new PusherPath(dependencies.pathPrefix);
    this.#admissionQueue = new AdmissionQueue({
      perSecond: dependencies.connectsPerSecond,
      maxWaitMs: dependencies.admissionTimeoutMs,
      onAdmit: (admissible) => this.#guard(() => this.#admit(admissible)),
      onOverflow: (admissible) => this.#guard(() => this.#reject(admissible, ERRORS.over_capacity)),
    });
  }

  /** Whether the path is one of Pusher clients, or nearly one. */
  matches(request: UpgradeRequest): boolean {
    return this.#path.matches(request);
  }

  /** Rejects all waiting and all later clients with the code for "reconnect after a second". */
  stop(): void {
    this.#stopping = true;
    this.#admissionQueue.flush();
    this.#withoutTls.flush();
  }

  async handle(request: UpgradeRequest, socket: Socket, head: Buffer): Promise<void> {
    const target = this.#path.parse(request);
    const decision = await this.#decide(request, target);
    const appKey = percentDecode(target?.segment ?? '') ?? '';
    const protocolVersion = protocolVersionOf(target);
    this.#dependencies.handshake.complete(request, socket, head, (client) =>
      this.#onOpen({ client, socket, decision, protocolVersion, appKey }),
    );
  }

  async #decide(request: UpgradeRequest, target: PusherTarget | undefined): Promise<App | GusherError> {
    try {
      return await this.#requireApp(request, target);
    } catch (error) {
      if (error instanceof GusherError) return error;
      throw error;
    }
  }

  async #requireApp(request: UpgradeRequest, target: PusherTarget | undefined): Promise<App> {
    if (target === undefined) throw new GusherError('no_such_path');
    const errorCode = protocolVersionError(target.version, this.#dependencies.strictProtocol);
    if (errorCode !== undefined) throw new GusherError(errorCode);
    // A key that is not percent-encoding cannot be the key of an app.
    const app = await this.#dependencies.apps.find(percentDecode(target.segment) ?? '');
    if (app === undefined) throw new GusherError('unknown_app');
    requireAdmissible(app, request.headers);
    if (!isPusherApp(app) && app.channels === undefined) throw new GusherError('not_pusher');
    return app;
  }

  /** Rejects at once, except clients that would reconnect at once. */
  #onOpen(pending: PendingClient): void {
    const isFull = this.#admissionQueue.size + this.#withoutTls.size >= this.#dependencies.admissionQueueMax;
    const { decision } = pending;
    if (decision instanceof GusherError && decision.code !== 'tls_only')
      this.#reject(pending, decision.entry);
    else if (this.#stopping || isFull) this.#reject(pending, ERRORS.over_capacity);
    else if (isAdmissible(pending)) this.#admissionQueue.add(pending);
    else this.#withoutTls.add(pending, TLS_REJECT_DELAY_MS);
  }

  #reject({ client, socket, appKey: app }: PendingClient, error: ErrorEntry): void {
    const facts = { app, address: socket.remoteAddress, protocol: 'pusher' };
    this.#dependencies.clientLog.connectRejected(error, facts);
    if (client.readyState !== client.OPEN) return;
    if (client.isPaused) client.resume();
    client.send(errorText(error));
    client.close(closeCodeOf(error, false), error.message);
  }

  #admit(admissible: AdmissibleClient): void {
    const { decision: app, client } = admissible;
    // The demo app may have ended while the client waited.
    if (!this.#dependencies.apps.isServed(app)) this.#reject(admissible, ERRORS.demo_ended);
    else if (client.readyState === client.OPEN) this.#openConnection(admissible);
  }

  #openConnection({ decision: app, client, socket, protocolVersion }: AdmissibleClient): void {
    const { protocol, connections, authorizationTimeoutMs } = this.#dependencies;
    const identity = { id: newSocketId(), appKey: app.key, userId: '' };
    const connection = new Connection(identity, Grants.of(app.channels ?? []), protocol, client);
    connection.pusher = newSession(isPusherApp(app), protocolVersion);
    connections.register(connection, client, socket);
    if (app.authorized_only === true) this.#unauthorized.add(connection, authorizationTimeoutMs);
    if (app.max_connections !== undefined) {
      void this.#establishWithinLimit(connection, client, app.max_connections);
      return;
    }
    this.#establish(connection);
    client.replayEarlyMessages();
  }

  /** Reads nothing from the client until the connection limit of its app is checked. */
  async #establishWithinLimit(connection: Connection, client: ClientSocket, max: number): Promise<void> {
    const { protocol, quota, unexpected } = this.#dependencies;
    client.pause();
    try {
      await quota.settle(connection.appKey, max);
      if (connection.state === 'open') this.#establish(connection);
    } catch (error) {
      if (!(error instanceof GusherError)) unexpected.report(error, 'connect', { app: connection.appKey });
      protocol.closeWithError(connection, error instanceof GusherError ? error.entry : ERRORS.internal);
    } finally {
      if (connection.state !== 'closed') client.resume();
      this.#guard(() => client.replayEarlyMessages());
    }
  }

  #establish(connection: Connection): void {
    const { sendQueue, activityTimeoutS } = this.#dependencies;
    if (connection.pusher !== undefined) connection.pusher.isEstablished = true;
    sendQueue.enqueue(connection, frameText(establishedText(connection.id, activityTimeoutS)));
  }

  #requireAuthorized(connection: Connection): void {
    if (connection.state !== 'open' || connection.pusher?.isAuthorized === true) return;
    this.#dependencies.protocol.closeWithError(connection, ERRORS.authorization_timeout);
  }

  #guard(work: () => void): void {
    this.#dependencies.unexpected.run('connect', work);
  }
}

function isAdmissible(pending: PendingClient): pending is AdmissibleClient {
  return !(pending.decision instanceof GusherError);
}

/** Public channels of a Pusher app need no grant. Another app admits its clients to the channels that it lists. */
function isPusherApp({ id, secret }: App): boolean {
  return id !== undefined && secret !== undefined;
}

function newSocketId(): string {
  return `${randomInt(1, ID_PART_MAX)}.${randomInt(1, ID_PART_MAX)}`;
}
