import type { Socket } from 'node:net';
import type { Settings } from '../../shared/config/settings.ts';
import { ERRORS, type ErrorEntry } from '../../shared/errors/catalogue.ts';
import { httpErrorResponse } from '../../shared/errors/http-error.ts';
import type { ClientLog } from '../../shared/logging/client-log.ts';
import type { PendingSocket } from './pending-socket.ts';
import { startReading } from './socket-reading.ts';

const SWEEP_MS = 250;
/** How long a refused client may take to read why, before its socket is ended. */
const LINGER_MS = 1_000;

/**
 * Between the ports and the workers: whoever came in through a door is placed with a worker, waits here while
 * there is none, or is told why not and shown out.
 *
 * Against: floods while no worker is ready (a cap on who waits, and a deadline), and refused clients that stay
 * (a moment to read why, and a cap: the one that was refused first goes first).
 */
export class SocketQueue {
  readonly #dispatch: (pendingSocket: PendingSocket) => boolean;
  readonly #clientLog: Pick<ClientLog, 'connectRefused'>;
  readonly #whyNot: (port: PendingSocket['port']) => ErrorEntry;
  readonly #timeoutMs: number;
  readonly #maxSockets: number;
  /** No worker to take them. */
  readonly #waiting = new Set<PendingSocket>();
  /** Refused, and given a moment to read it; with the time at which it ends. Oldest first. */
  readonly #lingering = new Map<Socket, number>();
  readonly #closed = new Set<PendingSocket['port']>();
  readonly #sweeper: NodeJS.Timeout;

  /** `place` answers false while there is no worker to take a pending socket; `whyNot` is the error that a pending socket gets then. */
  constructor(options: {
    settings: Pick<Settings, 'headersTimeoutMs' | 'pendingSocketsMax'>;
    dispatch: (pendingSocket: PendingSocket) => boolean;
    clientLog: Pick<ClientLog, 'connectRefused'>;
    whyNot?: (port: PendingSocket['port']) => ErrorEntry;
  }) {
    this.#timeoutMs = options.settings.headersTimeoutMs;
    this.#maxSockets = options.settings.pendingSocketsMax;
    this.#dispatch = options.dispatch;
    this.#clientLog = options.clientLog;
    this.#whyNot = options.whyNot ?? (() => ERRORS.no_worker);
    this.#sweeper = setInterval(this.#sweep, SWEEP_MS);
  }

  /** Takes a pending socket that came in, or one whose worker was lost before it took over. */
  enqueue(pendingSocket: PendingSocket): void {
    if (pendingSocket.socket.destroyed || this.#dispatch(pendingSocket)) return;
    if (this.#closed.has(pendingSocket.port)) this.reject(pendingSocket, ERRORS.server_stopping);
    else if (this.#waiting.size >= this.#maxSockets)
      this.reject(pendingSocket, this.#whyNot(pendingSocket.port));
    else this.#waiting.add(pendingSocket);
  }

  /** A worker became ready: whoever waits for one is placed. */
  flush(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const pendingSocket of waiting) this.enqueue(pendingSocket);
  }

  /** Tells a client why not. */
  reject({ socket, errorBody }: PendingSocket, error: ErrorEntry): void {
    this.#clientLog.connectRefused(error, { address: socket.remoteAddress });
    if (this.#lingering.size >= this.#maxSockets) this.#dropOldest();
    this.#lingering.set(socket, performance.now() + LINGER_MS);
    socket.once('close', () => this.#lingering.delete(socket));
    socket.removeAllListeners('data');
    socket.end(httpErrorResponse(error, errorBody));
    // What is still unread would make the system send a reset, which destroys the answer: so read on.
    startReading(socket);
  }

  /** From now on nobody who came to that port waits for a worker. */
  close(port: PendingSocket['port']): void {
    this.#closed.add(port);
    this.flush();
  }

  /** No pending socket comes any more. */
  closeLingering(): void {
    clearInterval(this.#sweeper);
    for (const socket of this.#lingering.keys()) socket.destroySoon();
  }

  #dropOldest(): void {
    const [oldest] = this.#lingering.keys();
    if (oldest === undefined) return;
    this.#lingering.delete(oldest);
    oldest.destroy();
  }

  readonly #sweep = (): void => {
    const now = performance.now();
    for (const pendingSocket of this.#waiting) {
      if (now - pendingSocket.arrivedAt < this.#timeoutMs) continue;
      this.#waiting.delete(pendingSocket);
      this.reject(pendingSocket, this.#whyNot(pendingSocket.port));
    }
    // A worker that was full may have room again.
    this.flush();
    for (const [socket, until] of this.#lingering) {
      if (now < until) break;
      socket.destroy();
    }
  };
}
