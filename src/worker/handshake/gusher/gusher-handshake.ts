import type { Socket } from 'node:net';
import { ERRORS, type ErrorEntry, GusherError } from '../../../shared/errors/catalogue.ts';
import type { ClientLog } from '../../../shared/logging/client-log.ts';
import type { UnexpectedErrors } from '../../../shared/logging/unexpected-errors.ts';
import type { TailEntry } from '../../../shared/tail/tail.ts';
import type { Recorder } from '../../../shared/tail/tap.ts';
import type { Authenticator, AuthResult } from '../../auth/authenticator.ts';
import { Grants } from '../../auth/grants.ts';
import type { ClientSocket } from '../../connection/client-socket.ts';
import { Connection } from '../../connection/connection.ts';
import type { ConnectionEvents } from '../../connection/connection-events.ts';
import { RejectedClients } from '../../connection/rejected-clients.ts';
import type { SendQueue } from '../../connection/send-queue.ts';
import type { WireProtocol } from '../../connection/wire-protocol.ts';
import type { SocketReporter } from '../../ipc/socket-reporter.ts';
import type { TokenExpiry } from '../../lifecycle/token-expiry.ts';
import type { ConnectionQuota } from '../connection-quota.ts';
import type { UpgradeRequest } from '../upgrade-request.ts';
import type { WebSocketHandshake } from '../websocket-handshake.ts';
import { newConnectionId } from './connection-id.ts';
import { appSegmentOf, readCredentials, requestsCloseFrame } from './gusher-path.ts';

const USER_AGENT_MAX_LENGTH = 200;

export interface GusherHandshakeDependencies {
  readonly authenticator: Authenticator;
  readonly protocol: WireProtocol;
  readonly handshake: Pick<WebSocketHandshake, 'complete' | 'reject'>;
  readonly connections: Pick<ConnectionEvents, 'register'>;
  readonly sendQueue: Pick<SendQueue, 'close'>;
  readonly quota: Pick<ConnectionQuota, 'requireRoom' | 'settle'>;
  readonly sockets: Pick<SocketReporter, 'reportOpened'>;
  readonly expiry: Pick<TokenExpiry, 'track'>;
  readonly unexpected: UnexpectedErrors;
  readonly clientLog: Pick<ClientLog, 'connectRejected'>;
  readonly tap: Recorder;
}

/**
 * Accepts native clients. The protocol reports an error before the handshake, as an HTTP status. The steps:
 *
 * 1. read the credential, and authenticate the client
 * 2. check the connection limit of the app
 * 3. complete the WebSocket handshake, and register the connection
 * 4. check the limit again, because other workers admit clients too
 */
export class GusherHandshake {
  readonly #dependencies: GusherHandshakeDependencies;
  readonly #rejected: RejectedClients;
  #stopping = false;

  constructor(dependencies: GusherHandshakeDependencies) {
    this.#dependencies = dependencies;
    this.#rejected = new RejectedClients({ protocol: dependencies.protocol });
  }

  /** Whether the path is one of native clients. */
  matches(request: UpgradeRequest): boolean {
    return appSegmentOf(request) !== undefined;
  }

  /** From now on rejects every client with `server_stopping`, after which it reconnects. */
  stop(): void {
    this.#stopping = true;
  }

  /** Rejects with a `GusherError` if the client may not connect. */
  async handle(request: UpgradeRequest, socket: Socket, head: Buffer): Promise<void> {
    const { authenticator, quota, handshake, tap } = this.#dependencies;
    const credentials = readCredentials(request);
    this.#rejectWhenStopping();
    const authResult = await authenticator.authenticate(credentials);
    await quota.requireRoom(authResult.app.key, authResult.app.max_connections);
    this.#rejectWhenStopping();
    if (tap.isOpen) tap.record(handshakeEntry(request, socket, authResult));
    handshake.complete(request, socket, head, (client) => this.#openConnection(client, socket, authResult));
  }

  /** Rejects a client with an HTTP error, or with a close frame if it asked for one. */
  reject(request: UpgradeRequest, socket: Socket, head: Buffer, error: ErrorEntry): void {
    const { handshake, clientLog } = this.#dependencies;
    const app = appSegmentOf(request);
    if (!socket.writable || this.#rejected.isFull || !requestsCloseFrame(request)) {
      handshake.reject(socket, error, app);
      return;
    }
    clientLog.connectRejected(error, { app, address: socket.remoteAddress, protocol: 'gusher' });
    handshake.complete(request, socket, head, (client) => this.#rejected.reject(client, error));
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

  #rejectWhenStopping(): void {
    if (this.#stopping) throw new GusherError('server_stopping');
  }
}

/** Shows an operator what a proxy sent. */
function handshakeEntry({ headers }: UpgradeRequest, socket: Socket, { app, userId }: AuthResult): TailEntry {
  return {
    type: 'handshake',
    app: app.key,
    user: userId === '' ? undefined : userId,
    address: socket.remoteAddress,
    userAgent: headers['user-agent']?.slice(0, USER_AGENT_MAX_LENGTH),
    hasForwardedFor: (headers['x-forwarded-for'] ?? headers.forwarded) !== undefined,
    hasForwardedProto: (headers['x-forwarded-proto'] ?? headers.forwarded) !== undefined,
  };
}
