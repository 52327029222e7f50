import { IncomingMessage, type Server } from 'node:http';
import type { BlockList, Socket } from 'node:net';
import { ERRORS, type ErrorEntry, GusherError } from '../../shared/errors/catalogue.ts';
import { destroyOnError } from '../../shared/http/destroy-on-error.ts';
import {
  asksForWebSocket,
  type RequestLimits,
  requestError,
  splitTarget,
} from '../../shared/http/request-rules.ts';
import type { ClientLog } from '../../shared/logging/client-log.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import { isIn, parseNetworks, plainAddress } from '../../shared/net/client-address.ts';
import { headOf, useOriginForm } from '../api/http/router.ts';
import type { Authenticator, AuthResult } from '../auth/authenticator.ts';
import { Grants } from '../auth/grants.ts';
import type { ClientSocket } from '../connection/client-socket.ts';
import { Connection } from '../connection/connection.ts';
import type { ConnectionEvents } from '../connection/connection-events.ts';
import { RejectedClients } from '../connection/rejected-clients.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { WireProtocol } from '../connection/wire-protocol.ts';
import type { SocketReporter } from '../ipc/socket-reporter.ts';
import type { TokenExpiry } from '../lifecycle/token-expiry.ts';
import { appSegmentOf, readCredentials, requestsCloseFrame, requireHandshake } from './client-path.ts';
import { newConnectionId } from './connection-id.ts';
import type { ConnectionQuota } from './connection-quota.ts';
import type { PusherHandshake } from './pusher/pusher-handshake.ts';
import type { UpgradeRequest } from './upgrade-request.ts';
import type { WebSocketHandshake } from './websocket-handshake.ts';

export interface UpgradeDependencies {
  readonly server: Server;
  readonly authenticator: Authenticator;
  readonly protocol: WireProtocol;
  readonly handshake: WebSocketHandshake;
  readonly pusherHandshake: PusherHandshake;
  readonly connections: Pick<ConnectionEvents, 'register'>;
  readonly sendQueue: Pick<SendQueue, 'close'>;
  readonly quota: Pick<ConnectionQuota, 'requireRoom' | 'settle'>;
  readonly sockets: Pick<SocketReporter, 'reportOpened'>;
  readonly expiry: Pick<TokenExpiry, 'track'>;
  readonly unexpected: UnexpectedErrors;
  readonly clientLog: Pick<ClientLog, 'connectRejected'>;
  readonly limits: RequestLimits;
  /** Comma-separated networks; empty if the operator named none. */
  readonly trustedProxies: string;
}

/**
 * Turns upgrade requests on the public port into connections, or rejects them with an HTTP error before the 101.
 * Handles native clients itself, and passes Pusher clients to their own handshake.
 */
export class UpgradeHandler {
  readonly #dependencies: UpgradeDependencies;
  readonly #rejected: RejectedClients;
  /** `undefined`: every peer may report TLS. */
  readonly #trusted: BlockList | undefined;
  #stopping = false;

  constructor(dependencies: UpgradeDependencies) {
    this.#dependencies = dependencies;
    const { trustedProxies } = dependencies;
    this.#trusted = trustedProxies === '' ? undefined : parseNetworks(trustedProxies);
    this.#rejected = new RejectedClients({ protocol: dependencies.protocol });
    dependencies.server.on('upgrade', this.#onUpgrade);
  }

  /** Whether a request asks for a WebSocket at a path of clients. */
  isFor(request: UpgradeRequest): boolean {
    if (request.method !== 'GET' || !asksForWebSocket(request)) return false;
    const target = { headers: request.headers, url: splitTarget(request.url ?? '').target };
    return appSegmentOf(target) !== undefined || this.#dependencies.pusherHandshake.matches(target);
  }

  /** From now on rejects every client with `server_stopping`, after which it reconnects. */
  stop(): void {
    this.#stopping = true;
    this.#dependencies.pusherHandshake.stop();
  }

  readonly #onUpgrade = (request: UpgradeRequest, socket: Socket, head: Buffer): void => {
    // The HTTP server has closed it: its pipeline was too long.
    if (socket.destroyed) return;
    destroyOnError(socket);
    this.#handle(request, socket, head).catch((error: unknown) => {
      if (!(error instanceof GusherError)) this.#dependencies.unexpected.report(error, 'connect');
      this.#reject(request, socket, head, error instanceof GusherError ? error.entry : ERRORS.internal);
    });
  };

  async #handle(request: UpgradeRequest, socket: Socket, head: Buffer): Promise<void> {
    const { pusherHandshake } = this.#dependencies;
    this.#checkLaterRequest(request);
    this.#ignoreUntrustedProto(request, socket);
    if (!pusherHandshake.matches(request)) return await this.#handleNative(request, socket, head);
    requireHandshake(request);
    await pusherHandshake.handle(request, socket, head);
  }

  async #handleNative(request: UpgradeRequest, socket: Socket, head: Buffer): Promise<void> {
    const { authenticator, quota, handshake } = this.#dependencies;
    const credentials = readCredentials(request);
    this.#rejectWhenStopping();
    const authResult = await authenticator.authenticate(credentials);
    await quota.requireRoom(authResult.app.key, authResult.app.max_connections);
    this.#rejectWhenStopping();
    handshake.complete(request, socket, head, (client) => this.#openConnection(client, socket, authResult));
  }

  #openConnection(
    client: ClientSocket,
    socket: Socket,
    { app, userId, channels, remotes, expiresAt }: AuthResult,
  ): void {
    const { protocol, connections, expiry, sockets } = this.#dependencies;
    const id = newConnectionId();
    const connection = new Connection({ id, appKey: app.key, userId }, Grants.of(channels), protocol, client);
    connection.remotes = remotes;
    connection.expiresAt = expiresAt;
    connections.register(connection, client, socket);
    expiry.track(connection);
    sockets.reportOpened(id);
    if (app.max_connections !== undefined) void this.#enforceLimit(connection, client, app.max_connections);
  }

  /** Executes nothing that the client sends until the connection limit of its app is checked. */
  async #enforceLimit(connection: Connection, client: ClientSocket, max: number): Promise<void> {
    const { quota, sendQueue, unexpected } = this.#dependencies;
    client.pause();
    try {
      await quota.settle(connection.appKey, max);
    } catch (error) {
      if (!(error instanceof GusherError)) unexpected.report(error, 'connect', { app: connection.appKey });
      sendQueue.close(connection, error instanceof GusherError ? error.entry : ERRORS.internal);
    } finally {
      if (connection.state !== 'closed') client.resume();
    }
  }

  #reject(request: UpgradeRequest, socket: Socket, head: Buffer, error: ErrorEntry): void {
    const { handshake, clientLog } = this.#dependencies;
    const app = appSegmentOf(request);
    if (!socket.writable || this.#rejected.isFull || !requestsCloseFrame(request)) {
      handshake.reject(socket, error, app);
      return;
    }
    clientLog.connectRejected(error, { app, address: socket.remoteAddress, protocol: 'gusher' });
    handshake.complete(request, socket, head, (client) => this.#rejected.reject(client, error));
  }

  /**
   * Attack: a client that connects without a proxy and claims TLS. The header stays, because it is also a sign of a proxy,
   * which ends the access to the demo app.
   */
  #ignoreUntrustedProto({ headers }: UpgradeRequest, socket: Socket): void {
    if (headers.forwarded === undefined && headers['x-forwarded-proto'] === undefined) return;
    // The address comes last: to read it is a system call.
    if (this.#trusted === undefined || isIn(this.#trusted, plainAddress(socket.remoteAddress ?? ''))) return;
    headers['x-forwarded-proto'] = 'http';
  }

  /** The primary checks only the first request of a TCP connection; Node parses the later ones here. */
  #checkLaterRequest(request: UpgradeRequest): void {
    if (!(request instanceof IncomingMessage)) return;
    const error = requestError(headOf(request), this.#dependencies.limits);
    if (error !== undefined) throw error;
    useOriginForm(request);
  }

  #rejectWhenStopping(): void {
    if (this.#stopping) throw new GusherError('server_stopping');
  }
}
