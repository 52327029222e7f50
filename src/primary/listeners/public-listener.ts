import { type BlockList, createServer, type Server, type Socket } from 'node:net';
import type { Settings } from '../../shared/config/settings.ts';
import { ERRORS, type ErrorEntry, GusherError } from '../../shared/errors/catalogue.ts';
import { errorBodyAt, KNOWN_METHODS } from '../../shared/errors/http-error.ts';
import { parseRequestHead } from '../../shared/http/request-head.ts';
import {
  BODILESS_METHODS,
  pathOf,
  type RequestLimits,
  requestError,
  splitTarget,
} from '../../shared/http/request-rules.ts';
import type { Logger } from '../../shared/log.ts';
import type { ClientLog } from '../../shared/logging/client-log.ts';
import type { Address } from '../../shared/net/address.ts';
import { addressGroup, clientAddress, isIn, parseNetworks } from '../../shared/net/client-address.ts';
import { createPendingSocket, type PendingSocket } from '../dispatch/pending-socket.ts';
import type { SocketQueue } from '../dispatch/socket-queue.ts';
import { stopReading } from '../dispatch/socket-reading.ts';
import { ConnectRate } from './connect-rate.ts';
import { HeadBuffer } from './head-buffer.ts';
import { listen } from './listen.ts';
import { hasBareLineEnd, headEnd, sidOf, startsLikeHttp } from './request-head.ts';

const SWEEP_MS = 250;
/** An address of these is one of this machine or of a proxy near it rather than of one client. */
const NEAR = '127.0.0.0/8, ::1, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7';

type ListenerSettings = Pick<
  Settings,
  | 'listen'
  | 'headersTimeoutMs'
  | 'pendingSocketsMax'
  | 'headersMaxBytes'
  | 'addressConnectsPerSecond'
  | 'trustedProxies'
  | 'bodyMaxBytes'
  | 'pusherPathPrefix'
>;

/** A socket that has not sent a whole head yet. */
interface Greeting {
  readonly pendingSocket: PendingSocket;
  readonly head: HeadBuffer;
}

/**
 * The public port. Each socket is a pending socket until it has sent one whole request head in time and in size; only
 * then is it placed with a worker. The door reads no byte more than it has to, so that whatever follows the
 * head is still in the socket for the worker. So is the body: what has not come with the head never passes
 * through here. Which paths and methods there are is for the worker to say, at this request and at every later
 * one of the connection.
 *
 * Against: sockets that stay silent or trickle (deadline, one sweep for all), many of them (a cap; the one
 * that waited longest goes first, since honest clients speak at once), endless heads (a cap), other protocols,
 * heads that two parsers could read in two ways, bodies that are too long, and errors on any of them (a listener
 * from the first moment).
 */
export class PublicListener {
  readonly #settings: ListenerSettings;
  readonly #limits: RequestLimits;
  readonly #log: Logger;
  readonly #clientLog: Pick<ClientLog, 'connectDropped'>;
  readonly #socketQueue: Pick<SocketQueue, 'enqueue' | 'reject'>;
  readonly #server: Server;
  /** Not yet a whole head, oldest first. */
  readonly #pending = new Map<Socket, Greeting>();
  readonly #trusted: BlockList;
  readonly #uncounted: BlockList;
  readonly #rate: ConnectRate;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: {
    settings: ListenerSettings;
    socketQueue: Pick<SocketQueue, 'enqueue' | 'reject'>;
    clientLog: Pick<ClientLog, 'connectDropped'>;
    log: Logger;
  }) {
    this.#clientLog = options.clientLog;
    this.#settings = options.settings;
    this.#limits = { bodyMaxBytes: options.settings.bodyMaxBytes, bodiless: BODILESS_METHODS };
    this.#socketQueue = options.socketQueue;
    this.#log = options.log;
    this.#trusted = parseNetworks(options.settings.trustedProxies);
    this.#uncounted = parseNetworks(`${NEAR}, ${options.settings.trustedProxies}`);
    this.#rate = new ConnectRate(options.settings.addressConnectsPerSecond);
    // Half open, so that a client which ends in the middle of its request can be told what was wrong.
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, this.#onConnection);
  }

  /** Opens the port; resolves with the address, rejects with a sentence if it cannot be had. */
  open(): Promise<Address> {
    this.#sweeper = setInterval(this.#sweep, SWEEP_MS);
    const about = {
      address: this.#settings.listen,
      setting: 'GUSHER_LISTEN',
      name: 'public',
      log: this.#log,
    };
    return listen(this.#server, about);
  }

  /** Closes the port for good; whoever has not asked for anything yet is told that the server is stopping. */
  close(): void {
    clearInterval(this.#sweeper);
    this.#server.close();
    for (const { pendingSocket } of this.#pending.values())
      this.#reject(pendingSocket, ERRORS.server_stopping);
  }

  readonly #onConnection = (socket: Socket): void => {
    const pendingSocket = createPendingSocket(socket, 'public');
    const greeting: Greeting = { pendingSocket, head: new HeadBuffer() };
    if (this.#pending.size >= this.#settings.pendingSocketsMax) this.#dropOldest();
    this.#pending.set(socket, greeting);
    socket.on('data', (chunk: Buffer) => this.#onData(greeting, chunk));
    socket.on('end', () => this.#onEnd(pendingSocket));
    socket.on('close', () => this.#pending.delete(socket));
  };

  #dropOldest(): void {
    const [oldest] = this.#pending.keys();
    if (oldest === undefined) return;
    this.#clientLog.connectDropped({ address: oldest.remoteAddress });
    oldest.destroy();
    this.#pending.delete(oldest);
  }

  /** The client has said all it will say, and it was no whole head. */
  #onEnd(pendingSocket: PendingSocket): void {
    if (!this.#pending.has(pendingSocket.socket)) return;
    if (pendingSocket.data.length > 0) this.#reject(pendingSocket, ERRORS.bad_request);
    else pendingSocket.socket.destroy();
  }

  /** Adds what a pending socket said, and decides as soon as it can be decided. */
  #onData({ pendingSocket, head }: Greeting, chunk: Buffer): void {
    const searched = pendingSocket.data.length;
    pendingSocket.data = head.append(chunk);
    const end = headEnd(pendingSocket.data, searched);
    const error = this.#headersError(pendingSocket, end);
    if (error !== undefined) this.#reject(pendingSocket, error);
    else if (end >= 0) this.#forward(pendingSocket);
  }

  #headersError(pendingSocket: PendingSocket, end: number): ErrorEntry | undefined {
    const { data } = pendingSocket;
    if (!startsLikeHttp(data)) return ERRORS.bad_request;
    const headLength = end < 0 ? data.length : end;
    const { headersMaxBytes } = this.#settings;
    if (headLength > headersMaxBytes) {
      const detail = `The limit is ${headersMaxBytes} bytes (GUSHER_HEADERS_MAX_BYTES).`;
      return new GusherError('headers_too_large', { detail }).entry;
    }
    if (end < 0) return undefined;
    const text = data.toString('latin1', 0, end);
    if (hasBareLineEnd(text)) return ERRORS.bad_request;
    const head = parseRequestHead(text);
    if (head === undefined) return ERRORS.bad_request;
    if (!KNOWN_METHODS.includes(head.method)) return ERRORS.method_not_allowed;
    const { target } = splitTarget(head.target);
    pendingSocket.sid = sidOf(target);
    pendingSocket.errorBody = errorBodyAt(pathOf(target), this.#settings.pusherPathPrefix);
    const error = requestError(head, this.#limits)?.entry;
    if (error !== undefined) return error;
    return this.#isWithinRate(pendingSocket, data.toString('latin1', 0, end))
      ? undefined
      : ERRORS.too_many_connects;
  }

  #isWithinRate({ socket }: PendingSocket, head: string): boolean {
    // A socket that has gone has no address.
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) return true;
    const address = clientAddress(remoteAddress, head, this.#trusted);
    return isIn(this.#uncounted, address) || this.#rate.admits(addressGroup(address), performance.now());
  }

  #forward(pendingSocket: PendingSocket): void {
    this.#pending.delete(pendingSocket.socket);
    stopReading(pendingSocket.socket);
    this.#socketQueue.enqueue(pendingSocket);
  }

  #reject(pendingSocket: PendingSocket, error: ErrorEntry): void {
    this.#pending.delete(pendingSocket.socket);
    this.#socketQueue.reject(pendingSocket, error);
  }

  readonly #sweep = (): void => {
    const now = performance.now();
    for (const { pendingSocket } of this.#pending.values()) {
      if (now - pendingSocket.arrivedAt < this.#settings.headersTimeoutMs) break;
      this.#reject(pendingSocket, ERRORS.request_timeout);
    }
  };
}
