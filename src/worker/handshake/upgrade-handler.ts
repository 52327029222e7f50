import { IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { type ServerOptions, WebSocketServer, type Server as WsServer } from 'ws';
import { ERRORS, type ErrorEntry, GusherError } from '../../shared/errors/catalogue.ts';
import { httpErrorResponse } from '../../shared/errors/http-error.ts';
import {
  asksForWebSocket,
  type RequestLimits,
  requestError,
  splitTarget,
} from '../../shared/http/request-rules.ts';
import type { ClientLog } from '../../shared/logging/client-log.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import { parseQueryText } from '../../shared/net/query-text.ts';
import type { Stats } from '../../shared/stats.ts';
import { headOf, useOriginForm } from '../api/http/router.ts';
import type { Authenticator, AuthResult, Credentials } from '../auth/authenticator.ts';
import { Grants } from '../auth/grants.ts';
import { ClientSocket, type ClientSocketEvents } from '../connection/client-socket.ts';
import { Connection } from '../connection/connection.ts';
import type { ReceiveQueue } from '../connection/receive-queue.ts';
import { RejectedClients } from '../connection/rejected-clients.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import type { WireProtocol } from '../connection/wire-protocol.ts';
import type { Hub } from '../hub/hub.ts';
import type { SocketReporter } from '../ipc/socket-reporter.ts';
import type { TokenExpiry } from '../lifecycle/token-expiry.ts';
import { framePong } from '../websocket/frame.ts';
import type { FrameWriter } from '../websocket/frame-writer.ts';
import { newConnectionId } from './connection-id.ts';
import type { ConnectionQuota } from './connection-quota.ts';
import { handshakeFor } from './handshake-headers.ts';
import type { Doorman, PusherHandshake } from './pusher-handshake.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/** How long a client may take to answer a goodbye, in ms. */
const CLOSE_TIMEOUT_MS = 5_000;
/** RFC 6455 §7.4.1. */
const INTERNAL_ERROR = 1011;

export interface UpgradeDependencies {
  readonly server: Server;
  readonly authenticator: Authenticator;
  readonly protocol: WireProtocol;
  readonly pusherHandshake: PusherHandshake;
  readonly hub: Hub;
  readonly receiveQueue: ReceiveQueue;
  readonly sendQueue: Pick<SendQueue, 'enqueue' | 'close'>;
  readonly quota: Pick<ConnectionQuota, 'requireRoom' | 'settle'>;
  readonly sockets: Pick<SocketReporter, 'reportOpened' | 'reportClosed'>;
  readonly expiry: Pick<TokenExpiry, 'track' | 'untrack'>;
  readonly frameWriter: FrameWriter;
  readonly stats: Stats;
  readonly unexpected: UnexpectedErrors;
  readonly clientLog: Pick<ClientLog, 'connectRefused'>;
  readonly messageMaxBytes: number;
  readonly compression: boolean;
  readonly limits: RequestLimits;
}

/**
 * The door of a worker: turns an HTTP request on the public port into a connection of the hub, or refuses it
 * with a status and a reason before anything is upgraded. The only file that knows how ws serves.
 */
export class UpgradeHandler implements ClientSocketEvents, Doorman {
  readonly #dependencies: UpgradeDependencies;
  readonly #handshakes: WsServer<typeof ClientSocket>;
  readonly #rejected: RejectedClients;
  #stopping = false;

  constructor(dependencies: UpgradeDependencies) {
    this.#dependencies = dependencies;
    this.#rejected = new RejectedClients({ protocol: dependencies.protocol });
    // `closeTimeout` is documented by ws 8.23 and not yet in its types.
    const options: ServerOptions<typeof ClientSocket> & { closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      // A pong leaves as everything does, by the send queue.
      autoPong: false,
      perMessageDeflate: dependencies.compression,
      maxPayload: dependencies.messageMaxBytes,
      closeTimeout: CLOSE_TIMEOUT_MS,
      WebSocket: ClientSocket,
    };
    this.#handshakes = new WebSocketServer<typeof ClientSocket>(options);
    this.#handshakes.on('wsClientError', (_error, socket) =>
      this.#sendError(socket as Socket, ERRORS.bad_request),
    );
    dependencies.server.on('upgrade', this.#onUpgrade);
  }

  /** Whether a request is to become a WebSocket: it asks for that, at an address of clients. */
  isFor(request: UpgradeRequest): boolean {
    if (request.method !== 'GET' || !asksForWebSocket(request)) return false;
    const at = { headers: request.headers, url: splitTarget(request.url ?? '').target };
    return targetOf(at) !== undefined || this.#dependencies.pusherHandshake.matches(at);
  }

  /** From now on everybody is refused with a status that says "come back". */
  stop(): void {
    this.#stopping = true;
    this.#dependencies.pusherHandshake.stop();
  }

  message(connection: Connection, data: Buffer, isBinary: boolean): void {
    this.#dependencies.receiveQueue.receive(connection, data, isBinary);
  }

  pinged(connection: Connection, data: Buffer): void {
    connection.hadTraffic = true;
    if (!this.#dependencies.receiveQueue.defersPong(connection, data))
      this.#dependencies.sendQueue.enqueue(connection, framePong(data));
  }

  frame(connection: Connection): void {
    this.#dependencies.receiveQueue.countFrame(connection);
  }

  completeHandshake(
    request: UpgradeRequest,
    socket: Socket,
    head: Buffer,
    onOpen: (client: ClientSocket) => void,
  ): void {
    // ws looks at the method, the target and the headers, and keeps nothing.
    this.#handshakes.handleUpgrade(handshakeFor(request) as IncomingMessage, socket, head, (client) => {
      try {
        onOpen(client);
      } catch (error) {
        // The 101 was sent, so no HTTP status can follow it.
        this.#dependencies.unexpected.report(error, 'connect');
        client.close(INTERNAL_ERROR, ERRORS.internal.message);
      }
    });
  }

  register(connection: Connection, client: ClientSocket, socket: Socket): void {
    client.attach(connection, socket, this.#dependencies.frameWriter, this);
    this.#dependencies.hub.add(connection);
  }

  broken(connection: Connection, error: ErrorEntry): void {
    this.#dependencies.sendQueue.close(connection, error);
  }

  closed(connection: Connection): void {
    this.#dependencies.unexpected.run('connection_end', () =>
      this.#dependencies.receiveQueue.finishThen(connection, () => this.#unregister(connection)),
    );
  }

  #unregister(connection: Connection): void {
    const { expiry, hub, sockets } = this.#dependencies;
    expiry.untrack(connection);
    hub.remove(connection);
    connection.protocol.connectionClosed?.(connection);
    // Only ids of native clients are of the form that can be routed by.
    if (connection.pusher === undefined) sockets.reportClosed(connection.id);
  }

  readonly #onUpgrade = (request: UpgradeRequest, socket: Socket, head: Buffer): void => {
    socket.on('error', destroySocket);
    this.#handle(request, socket, head).catch((error: unknown) => {
      if (!(error instanceof GusherError)) this.#dependencies.unexpected.report(error, 'connect');
      const errorEntry = error instanceof GusherError ? error.entry : ERRORS.internal;
      if (this.#rejects(request, socket)) this.#reject(request, socket, head, errorEntry);
      else this.#sendError(socket, errorEntry, request);
    });
  };

  /** Whether the client asked for a close frame instead of a status, and its handshake can be accepted for that. */
  #rejects(request: UpgradeRequest, socket: Socket): boolean {
    if (targetOf(request) === undefined || !isHandshake(request) || !socket.writable) return false;
    return !this.#rejected.isFull && queryOf(request)?.get('reject') === 'close';
  }

  #reject(request: UpgradeRequest, socket: Socket, head: Buffer, error: ErrorEntry): void {
    const facts = { app: targetOf(request), address: socket.remoteAddress, protocol: 'gusher' };
    this.#dependencies.clientLog.connectRefused(error, facts);
    this.completeHandshake(request, socket, head, (client) => this.#rejected.reject(client, error));
  }

  #sendError(socket: Socket, error: ErrorEntry, request?: UpgradeRequest): void {
    const app = request === undefined ? undefined : targetOf(request);
    this.#dependencies.clientLog.connectRefused(error, { app, address: socket.remoteAddress });
    rejectSocket(socket, error);
  }

  async #handle(request: UpgradeRequest, socket: Socket, head: Buffer): Promise<void> {
    const { pusherHandshake } = this.#dependencies;
    this.#checkLaterRequest(request);
    if (pusherHandshake.matches(request)) {
      requireHandshake(request);
      await pusherHandshake.handle(request, socket, head, this);
      return;
    }
    const credentials = readTarget(request);
    this.#rejectWhenStopping();
    const authResult = await this.#dependencies.authenticator.authenticate(credentials);
    await this.#dependencies.quota.requireRoom(authResult.app.key, authResult.app.max_connections);
    this.#rejectWhenStopping();
    this.completeHandshake(request, socket, head, (client) =>
      this.#openConnection(client, socket, authResult),
    );
  }

  #openConnection(
    client: ClientSocket,
    socket: Socket,
    { app, userId, channels, remotes, expiresAt }: AuthResult,
  ): void {
    const { protocol, expiry, sockets } = this.#dependencies;
    const id = newConnectionId();
    const connection = new Connection({ id, appKey: app.key, userId }, Grants.of(channels), protocol, client);
    connection.remotes = remotes;
    connection.expiresAt = expiresAt;
    this.register(connection, client, socket);
    expiry.track(connection);
    sockets.reportOpened(id);
    if (app.max_connections !== undefined) void this.#keepWithin(connection, client, app.max_connections);
  }

  /** Until it is known that the connection is not one too many, nothing that it sends is carried out. */
  async #keepWithin(connection: Connection, client: ClientSocket, max: number): Promise<void> {
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

  /** The primary has seen the first request of a connection only; Node's parser reads the others. */
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

/** 16 bytes as base64. */
const HANDSHAKE_KEY = /^[A-Za-z0-9+/]{22}==$/;
/** The address of the seed and of v1.13 (with its alias), and the one of v3. */
const TARGETS = [/^\/(?:ws|wtf)\/([^/?]+)\/?(?:\?|$)/, /^\/v1\/apps\/([^/?]+)\/ws\/?(?:\?|$)/];

/** The app key that a client address names; `undefined` if the request is for something else. */
function targetOf(request: UpgradeRequest): string | undefined {
  const url = request.url ?? '';
  return TARGETS.map((target) => target.exec(url)?.[1]).find((key) => key !== undefined);
}

function readTarget(request: UpgradeRequest): Credentials {
  const appKey = targetOf(request);
  if (appKey === undefined) throw new GusherError('not_found');
  requireHandshake(request);
  const query = queryOf(request);
  if (query === undefined) throw new GusherError('bad_request');
  return {
    appKey: decodeSegment(appKey),
    auth: query.get('auth') ?? '',
    token: query.get('token') ?? '',
    headers: request.headers,
  };
}

function queryOf({ url = '' }: UpgradeRequest): ReturnType<typeof parseQueryText> {
  const mark = url.indexOf('?');
  return parseQueryText(mark < 0 ? '' : url.slice(mark + 1));
}

/** RFC 6455 §4.2.1, and §4.4 for other versions; looked at before the webhook of the app is asked. */
function requireHandshake(request: UpgradeRequest): void {
  if (!hasHandshakeFields(request)) throw new GusherError('bad_request');
  if (request.headers['sec-websocket-version'] !== '13') throw new GusherError('upgrade_required');
}

function hasHandshakeFields({ method, headers }: UpgradeRequest): boolean {
  return (
    method === 'GET' && headers.host !== undefined && HANDSHAKE_KEY.test(headers['sec-websocket-key'] ?? '')
  );
}

function isHandshake(request: UpgradeRequest): boolean {
  return hasHandshakeFields(request) && request.headers['sec-websocket-version'] === '13';
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Not percent-encoding: no app has such a key either.
    throw new GusherError('unknown_app');
  }
}

function rejectSocket(socket: Socket, error: ErrorEntry): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.once('finish', socket.destroy);
  socket.end(httpErrorResponse(error));
}

function destroySocket(this: Socket): void {
  this.destroy();
}
