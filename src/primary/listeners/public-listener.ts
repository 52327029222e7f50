import { createServer, type Server, type Socket } from 'node:net';
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
import type { ClientLog } from '../../shared/logging/client-log.ts';
import type { Logger } from '../../shared/logging/log.ts';
import type { Address } from '../../shared/net/address.ts';
import type { LingeringClose } from '../dispatch/lingering-close.ts';
import { createPendingSocket, type PendingSocket } from '../dispatch/pending-socket.ts';
import type { SocketQueue } from '../dispatch/socket-queue.ts';
import { stopReading } from '../dispatch/socket-reading.ts';
import type { AddressLimits } from './address-limits.ts';
import { HeadBuffer } from './head-buffer.ts';
import { listen } from './listen.ts';
import { hasBareLineEnd, headEnd, sidOf, startsLikeHttp } from './request-head.ts';

const SWEEP_MS = 250;

type ListenerSettings = Pick<
  Settings,
  | 'listen'
  | 'headersTimeoutMs'
  | 'pendingSocketsMax'
  | 'headersMaxBytes'
  | 'bodyMaxBytes'
  | 'pusherPathPrefix'
>;

/** A socket whose request head is incomplete. */
interface IncompleteRequest {
  readonly pendingSocket: PendingSocket;
  readonly head: HeadBuffer;
}

/**
 * Accepts sockets of the public port, and enqueues each for a worker when it has sent a valid request head. Bytes that
 * do not arrive with the head stay in the socket for the worker. The worker checks path and method of each request.
 *
 * Attacks: silent or trickling sockets (a timeout, one sweep for all); many of them (a limit; the oldest is dropped,
 * since honest clients send at once); long heads (a limit); other protocols; heads that two parsers could read
 * differently; bodies that are too long; socket errors at any time (a listener from the start).
 */
export class PublicListener {
  readonly #settings: ListenerSettings;
  readonly #limits: RequestLimits;
  readonly #log: Logger;
  readonly #clientLog: Pick<ClientLog, 'connectDropped'>;
  readonly #socketQueue: Pick<SocketQueue, 'enqueue'>;
  readonly #lingeringClose: Pick<LingeringClose, 'reject'>;
  readonly #server: Server;
  /** Oldest first. */
  readonly #incomplete = new Map<Socket, IncompleteRequest>();
  readonly #addressLimits: Pick<AddressLimits, 'check'>;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: {
    settings: ListenerSettings;
    socketQueue: Pick<SocketQueue, 'enqueue'>;
    lingeringClose: Pick<LingeringClose, 'reject'>;
    addressLimits: Pick<AddressLimits, 'check'>;
    clientLog: Pick<ClientLog, 'connectDropped'>;
    log: Logger;
  }) {
    this.#clientLog = options.clientLog;
    this.#settings = options.settings;
    this.#limits = { bodyMaxBytes: options.settings.bodyMaxBytes, bodiless: BODILESS_METHODS };
    this.#socketQueue = options.socketQueue;
    this.#lingeringClose = options.lingeringClose;
    this.#log = options.log;
    this.#addressLimits = options.addressLimits;
    // Half open, so that a client that ends in the middle of its request still receives an error.
    // Without `noDelay`: the worker sets it, and the primary writes at most one response.
    this.#server = createServer({ allowHalfOpen: true }, this.#onConnection);
  }

  /** Sockets without a complete head. */
  get pendingSockets(): number {
    return this.#incomplete.size;
  }

  /** Opens the port and resolves with its address. Rejects with an error that names the setting. */
  open(): Promise<Address> {
    this.#sweeper = setInterval(this.#sweep, SWEEP_MS);
    const options = {
      address: this.#settings.listen,
      setting: 'GUSHER_LISTEN',
      name: 'public',
      log: this.#log,
    };
    return listen(this.#server, options);
  }

  /** Closes the port, and rejects every socket without a complete head. */
  close(): void {
    clearInterval(this.#sweeper);
    this.#server.close();
    for (const { pendingSocket } of this.#incomplete.values())
      this.#reject(pendingSocket, ERRORS.server_stopping);
  }

  readonly #onConnection = (socket: Socket): void => {
    const pendingSocket = createPendingSocket(socket, 'public');
    const request: IncompleteRequest = { pendingSocket, head: new HeadBuffer() };
    if (this.#incomplete.size >= this.#settings.pendingSocketsMax) this.#dropOldest();
    this.#incomplete.set(socket, request);
    socket.on('data', (chunk: Buffer) => this.#onData(request, chunk));
    socket.on('end', () => this.#onEnd(pendingSocket));
    socket.on('close', () => this.#incomplete.delete(socket));
  };

  #dropOldest(): void {
    const [oldest] = this.#incomplete.keys();
    if (oldest === undefined) return;
    this.#clientLog.connectDropped({ address: oldest.remoteAddress });
    oldest.destroy();
    this.#incomplete.delete(oldest);
  }

  #onEnd(pendingSocket: PendingSocket): void {
    if (!this.#incomplete.has(pendingSocket.socket)) return;
    if (pendingSocket.data.length > 0) this.#reject(pendingSocket, ERRORS.bad_request);
    else pendingSocket.socket.destroy();
  }

  #onData({ pendingSocket, head }: IncompleteRequest, chunk: Buffer): void {
    const searched = pendingSocket.data.length;
    pendingSocket.data = head.append(chunk);
    const end = headEnd(pendingSocket.data, searched);
    const error = this.#requestError(pendingSocket, end);
    if (error !== undefined) this.#reject(pendingSocket, error);
    else if (end >= 0) this.#forward(pendingSocket);
  }

  #requestError(pendingSocket: PendingSocket, end: number): ErrorEntry | undefined {
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
    return this.#addressError(pendingSocket, text);
  }

  #addressError(pendingSocket: PendingSocket, head: string): ErrorEntry | undefined {
    const { group, error } = this.#addressLimits.check(pendingSocket.socket, head);
    pendingSocket.addressGroup = group;
    return error === undefined ? undefined : ERRORS[error];
  }

  #forward(pendingSocket: PendingSocket): void {
    this.#incomplete.delete(pendingSocket.socket);
    stopReading(pendingSocket.socket);
    this.#socketQueue.enqueue(pendingSocket);
  }

  #reject(pendingSocket: PendingSocket, error: ErrorEntry): void {
    this.#incomplete.delete(pendingSocket.socket);
    this.#lingeringClose.reject(pendingSocket, error);
  }

  readonly #sweep = (): void => {
    const now = performance.now();
    for (const { pendingSocket } of this.#incomplete.values()) {
      if (now - pendingSocket.arrivedAt < this.#settings.headersTimeoutMs) break;
      this.#reject(pendingSocket, ERRORS.request_timeout);
    }
  };
}
