import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import type { App } from '../../shared/apps/app.ts';
import type { AppRegistry } from '../../shared/apps/app-registry.ts';
import { ERRORS, type ErrorCode, type ErrorEntry, GusherError } from '../../shared/errors/catalogue.ts';
import type { ClientLog } from '../../shared/logging/client-log.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import { TimingWheel } from '../../shared/scheduling/timing-wheel.ts';
import { TokenBucketQueue } from '../../shared/scheduling/token-bucket-queue.ts';
import { requireAdmissible } from '../auth/app-guards.ts';
import { Grants } from '../auth/grants.ts';
import type { ClientSocket, PendingClientHandler } from '../connection/client-socket.ts';
import { Connection } from '../connection/connection.ts';
import { newSession } from '../connection/pusher-session.ts';
import type { SendQueue } from '../connection/send-queue.ts';
import { closeCodeOf } from '../protocols/pusher/close-codes.ts';
import { errorText, establishedText } from '../protocols/pusher/messages.ts';
import type { PusherProtocol } from '../protocols/pusher/pusher-protocol.ts';
import { frameText } from '../websocket/frame.ts';
import type { ConnectionQuota } from './connection-quota.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/**
 * Whoever is told 4000 comes again at once, by TLS. Where it has come by TLS already, and a proxy does not say so, it
 * would come again and again as fast as it can.
 */
const TLS_REJECT_DELAY_MS = 1_000;
/** Its multiples, taken modulo 1, lie evenly in a unit however many they are. */
const GOLDEN_RATIO = 0.618_033_988_749_895;
const FIRST_PROTOCOL = 4;
const LAST_PROTOCOL = 7;
/** 2^47: two of them cannot be guessed, and are plain numbers to every SDK. */
const ID_PART_MAX = 0x8000_0000_0000;

/** What the door needs of the one that knows how ws serves. */
export interface Doorman {
  completeHandshake(
    request: UpgradeRequest,
    socket: Socket,
    head: Buffer,
    onOpen: (client: ClientSocket) => void,
  ): void;
  /** The client is one of this worker's from now on. */
  register(connection: Connection, client: ClientSocket, socket: Socket): void;
}

export interface PusherHandshakeDependencies {
  readonly apps: Pick<AppRegistry, 'find' | 'isServed'>;
  readonly protocol: PusherProtocol;
  readonly sendQueue: Pick<SendQueue, 'enqueue' | 'close'>;
  readonly quota: Pick<ConnectionQuota, 'settle'>;
  readonly unexpected: UnexpectedErrors;
  readonly clientLog: Pick<ClientLog, 'connectRefused'>;
  readonly pathPrefix: string;
  readonly strictProtocol: boolean;
  readonly activityTimeoutS: number;
  /** Of this worker, as is `waitingMax`. */
  readonly connectsPerSecond: number;
  /** The longest that a client is left waiting for `connection_established`, or for the 4100 instead of it. */
  readonly admissionTimeoutMs: number;
  /** How long who is let in may take to be vouched for, where the app asks for it. */
  readonly authorizationTimeoutMs: number;
  /** How many may wait at once. */
  readonly admissionQueueMax: number;
}

/** Somebody who has shaken hands and is to hear yes or no. */
interface PendingClient {
  readonly client: ClientSocket;
  readonly socket: Socket;
  readonly handshakeServer: Doorman;
  readonly decision: App | ErrorEntry;
  readonly protocol: number;
  /** As the client named it. */
  readonly appKey: string;
}

type AdmittedClient = PendingClient & { readonly decision: App };

/**
 * Lets Pusher clients in, at `/app/{key}`. An error is told as this protocol has it: after the handshake, by a
 * `pusher:error` and a close code.
 *
 * After the loss of a server all its clients come at once, and each brings calls to the auth endpoint of its app. So
 * they are let in at a steady rate, and whoever has a place within what pusher-js waits for an answer waits for it
 * here: sent away it would come again a second later, and so on. The others are kept for a while too, and then sent
 * away with 4100, spread evenly over that time: so those who come again do not come all at once. Who comes alone
 * waits for nothing.
 */
export class PusherHandshake implements PendingClientHandler {
  readonly #dependencies: PusherHandshakeDependencies;
  readonly #admissionQueue: TokenBucketQueue<AdmittedClient>;
  /** For whom there is no place, until they are told. */
  readonly #overflow = new TimingWheel<PendingClient>({
    onExpire: (pendingClient) => this.#guard(() => this.#reject(pendingClient, ERRORS.over_capacity)),
  });
  /** Those of both. */
  readonly #waiting = new Map<ClientSocket, AdmittedClient>();
  /** Those who came without TLS, until they are told. */
  readonly #withoutTls = new TimingWheel<PendingClient>({
    onExpire: (pendingClient) => this.#guard(() => this.#reject(pendingClient, ERRORS.tls_only)),
  });
  /** Those who have to be vouched for, until it is looked whether they are. */
  readonly #unauthorized = new TimingWheel<Connection>({
    onExpire: (connection) => this.#guard(() => this.#checkAuthorized(connection)),
  });
  /** Where in the time of waiting the next one is sent away, from 0 to 1. */
  #spread = 0;
  readonly #appPath: RegExp;
  readonly #anyPath: RegExp;
  #stopping = false;

  constructor(dependencies: PusherHandshakeDependencies) {
    this.#dependencies = dependencies;
    this.#admissionQueue = new TokenBucketQueue({
      perSecond: dependencies.connectsPerSecond,
      maxWaitMs: dependencies.admissionTimeoutMs,
      onReady: (admittedClient) => this.#guard(() => this.#admit(admittedClient)),
    });
    const { app, near } = pusherPaths(dependencies.pathPrefix);
    this.#appPath = app;
    this.#anyPath = near;
  }

  /** Whether the address is one of Pusher clients, or nearly so. */
  matches(request: UpgradeRequest): boolean {
    return this.#anyPath.test(request.url ?? '');
  }

  /** From now on everybody is sent away, to come back a second later. */
  stop(): void {
    this.#stopping = true;
    for (const pendingClient of this.#admissionQueue.clear())
      this.#reject(pendingClient, ERRORS.over_capacity);
    this.#overflow.flush();
    this.#withoutTls.flush();
  }

  async handle(
    request: UpgradeRequest,
    socket: Socket,
    head: Buffer,
    handshakeServer: Doorman,
  ): Promise<void> {
    const decision = await this.#validate(request);
    const appKey = decode(this.#appPath.exec(request.url ?? '')?.[1] ?? '');
    const protocol = Number(this.#protocolOf(request) ?? LAST_PROTOCOL);
    handshakeServer.completeHandshake(request, socket, head, (client) =>
      this.#onOpen({ client, socket, handshakeServer, decision, protocol, appKey }),
    );
  }

  async #validate(request: UpgradeRequest): Promise<App | ErrorEntry> {
    try {
      return await this.#authorizeApp(request);
    } catch (error) {
      if (error instanceof GusherError) return error.entry;
      throw error;
    }
  }

  async #authorizeApp(request: UpgradeRequest): Promise<App> {
    const [, segment] = this.#appPath.exec(request.url ?? '') ?? [];
    if (segment === undefined) throw new GusherError('no_such_path');
    const errorCode = protocolVersionError(this.#protocolOf(request), this.#dependencies.strictProtocol);
    if (errorCode !== undefined) throw new GusherError(errorCode);
    const app = await this.#dependencies.apps.find(decode(segment));
    if (app === undefined) throw new GusherError('unknown_app');
    requireAdmissible(app, request.headers);
    if (!isOpen(app) && app.channels === undefined) throw new GusherError('not_pusher');
    return app;
  }

  #protocolOf({ url = '' }: UpgradeRequest): string | null {
    const [, , query] = this.#appPath.exec(url) ?? [];
    return new URLSearchParams(query).get('protocol');
  }

  /** A client that waited has gone: its place is free. */
  pendingClientClosed(client: ClientSocket): void {
    const pendingClient = this.#waiting.get(client);
    if (pendingClient === undefined) return;
    this.#waiting.delete(client);
    this.#admissionQueue.remove(pendingClient);
    this.#overflow.cancel(pendingClient);
  }

  /** Only who may come in has to wait for a place; no is said at once, but to those who would come again at once. */
  #onOpen(pendingClient: PendingClient): void {
    const isFull = this.#waiting.size + this.#withoutTls.size >= this.#dependencies.admissionQueueMax;
    if (!isAdmitted(pendingClient) && pendingClient.decision !== ERRORS.tls_only) {
      this.#reject(pendingClient, pendingClient.decision as ErrorEntry);
    } else if (this.#stopping || isFull) this.#reject(pendingClient, ERRORS.over_capacity);
    else if (isAdmitted(pendingClient)) this.#enqueue(pendingClient);
    else this.#withoutTls.add(pendingClient, TLS_REJECT_DELAY_MS);
  }

  #enqueue(admittedClient: AdmittedClient): void {
    admittedClient.client.waitForAdmission(this);
    this.#waiting.set(admittedClient.client, admittedClient);
    if (this.#admissionQueue.offer(admittedClient)) return;
    this.#spread = (this.#spread + GOLDEN_RATIO) % 1;
    this.#overflow.add(admittedClient, this.#spread * this.#dependencies.admissionTimeoutMs);
  }

  #reject({ client, socket, appKey: app }: PendingClient, error: ErrorEntry): void {
    this.#waiting.delete(client);
    this.#dependencies.clientLog.connectRefused(error, {
      app,
      address: socket.remoteAddress,
      protocol: 'pusher',
    });
    if (client.readyState !== client.OPEN) return;
    if (client.isPaused) client.resume();
    client.send(errorText(error));
    client.close(closeCodeOf(error, false), error.message);
  }

  #admit(admittedClient: AdmittedClient): void {
    const { client, socket, handshakeServer, decision: app, protocol } = admittedClient;
    this.#waiting.delete(client);
    // The demo app may have ended while the client waited.
    if (!this.#dependencies.apps.isServed(app)) {
      this.#reject(admittedClient, ERRORS.demo_ended);
      return;
    }
    if (client.readyState !== client.OPEN) return;
    const { protocol: wireProtocol } = this.#dependencies;
    const identity = { id: newSocketId(), appKey: app.key, userId: '' };
    const connection = new Connection(identity, Grants.of(app.channels ?? []), wireProtocol, client);
    connection.pusher = newSession(isOpen(app), protocol);
    handshakeServer.register(connection, client, socket);
    if (app.authorized_only === true)
      this.#unauthorized.add(connection, this.#dependencies.authorizationTimeoutMs);
    if (app.max_connections === undefined) {
      this.#establish(connection);
      client.replayEarlyMessages();
    } else {
      this.#establishWithin(connection, client, app.max_connections).catch((error: unknown) => {
        this.#dependencies.unexpected.report(error, 'connect', { app: connection.appKey });
        this.tellTheEnd(connection, ERRORS.internal);
      });
    }
  }

  #guard(work: () => void): void {
    this.#dependencies.unexpected.run('connect', work);
  }

  #checkAuthorized(connection: Connection): void {
    if (connection.state === 'open' && connection.pusher?.isAuthorized !== true) {
      this.tellTheEnd(connection, ERRORS.authorization_timeout);
    }
  }

  /** Sends an error as Pusher has it, and closes. */
  tellTheEnd(connection: Connection, error: ErrorEntry): void {
    const { sendQueue } = this.#dependencies;
    const { text } = connection.protocol.closeFrameFor(error, connection);
    if (text === undefined) sendQueue.enqueue(connection, frameText(errorText(error)));
    sendQueue.close(connection, error);
  }

  async #establishWithin(connection: Connection, client: ClientSocket, max: number): Promise<void> {
    client.pause();
    try {
      await this.#dependencies.quota.settle(connection.appKey, max);
      if (connection.state === 'open') this.#establish(connection);
    } catch (error) {
      if (!(error instanceof GusherError)) throw error;
      this.tellTheEnd(connection, error.entry);
    } finally {
      if (connection.state !== 'closed') client.resume();
      client.replayEarlyMessages();
    }
  }

  #establish(connection: Connection): void {
    const { sendQueue, activityTimeoutS } = this.#dependencies;
    if (connection.pusher !== undefined) connection.pusher.isEstablished = true;
    sendQueue.enqueue(connection, frameText(establishedText(connection.id, activityTimeoutS)));
  }
}

/**
 * The address of Pusher clients, with key and query, and what is nearly one: its clients learn what is wrong by a close
 * code. `//app` is what the path option of some clients makes of `/`.
 */
export function pusherPaths(pathPrefix: string): { app: RegExp; near: RegExp } {
  const prefix = pathPrefix.replaceAll('.', '\\.');
  const segments = prefix.slice(1).replaceAll('/', '/+');
  return {
    app: new RegExp(`^${prefix === '' ? '' : `(?:${prefix})?`}/app/([^/?]+)/?(?:\\?(.*))?$`),
    near: new RegExp(`^/+${segments === '' ? '' : `(?:${segments}/+)?`}app(?:[/?]|$)`),
  };
}

function isAdmitted(pendingClient: PendingClient): pendingClient is AdmittedClient {
  return 'key' in pendingClient.decision;
}

/** An app of Pusher's kind: its public channels are public. Another one lets clients into what it grants to everybody. */
function isOpen({ id, secret }: App): boolean {
  return id !== undefined && secret !== undefined;
}

function protocolVersionError(version: string | null, isStrict: boolean): ErrorCode | undefined {
  if (version === null) return isStrict ? 'no_protocol' : undefined;
  if (!/^\d{1,9}$/.test(version)) return 'bad_protocol';
  const number = Number(version);
  return number < FIRST_PROTOCOL || number > LAST_PROTOCOL ? 'unsupported_protocol' : undefined;
}

function newSocketId(): string {
  return `${randomInt(1, ID_PART_MAX)}.${randomInt(1, ID_PART_MAX)}`;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Not percent-encoding: no app has such a key either.
    return '';
  }
}
