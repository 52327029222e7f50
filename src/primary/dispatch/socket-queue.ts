import type { Settings } from '../../shared/config/settings.ts';
import { ERRORS, type ErrorEntry } from '../../shared/errors/catalogue.ts';
import type { LingeringClose } from './lingering-close.ts';
import type { PendingSocket } from './pending-socket.ts';

const SWEEP_MS = 250;

/**
 * Sends accepted sockets to workers, and queues them while no worker is ready.
 *
 * Attack: a flood while no worker is ready. A full queue rejects sockets, and none waits longer than the timeout.
 */
export class SocketQueue {
  readonly #dispatch: (pendingSocket: PendingSocket) => boolean;
  readonly #lingeringClose: Pick<LingeringClose, 'reject'>;
  readonly #unavailableError: (port: PendingSocket['port']) => ErrorEntry;
  readonly #timeoutMs: number;
  readonly #maxSockets: number;
  readonly #waiting = new Set<PendingSocket>();
  readonly #closed = new Set<PendingSocket['port']>();
  readonly #sweeper: NodeJS.Timeout;

  /**
   * `dispatch` returns false if no worker accepts the socket; `unavailableError` is the error of a socket for which
   * none did in time.
   */
  constructor(options: {
    settings: Pick<Settings, 'headersTimeoutMs' | 'pendingSocketsMax'>;
    dispatch: (pendingSocket: PendingSocket) => boolean;
    lingeringClose: Pick<LingeringClose, 'reject'>;
    unavailableError?: (port: PendingSocket['port']) => ErrorEntry;
  }) {
    this.#timeoutMs = options.settings.headersTimeoutMs;
    this.#maxSockets = options.settings.pendingSocketsMax;
    this.#dispatch = options.dispatch;
    this.#lingeringClose = options.lingeringClose;
    this.#unavailableError = options.unavailableError ?? (() => ERRORS.no_worker);
    this.#sweeper = setInterval(this.#sweep, SWEEP_MS);
  }

  /** Sockets that wait for a worker. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Enqueues a new socket, or one whose worker died before it accepted the socket. */
  enqueue(pendingSocket: PendingSocket): void {
    const { socket, port } = pendingSocket;
    if (socket.destroyed || this.#dispatch(pendingSocket)) return;
    if (this.#closed.has(port)) this.#lingeringClose.reject(pendingSocket, ERRORS.server_stopping);
    else if (this.#waiting.size >= this.#maxSockets) this.#rejectUnavailable(pendingSocket);
    else this.#waiting.add(pendingSocket);
  }

  /** Tries to give every waiting socket to a worker. */
  flush(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const pendingSocket of waiting) this.enqueue(pendingSocket);
  }

  /** From now on sockets of that port do not wait for a worker. */
  closePort(port: PendingSocket['port']): void {
    this.#closed.add(port);
    this.flush();
  }

  close(): void {
    clearInterval(this.#sweeper);
  }

  #rejectUnavailable(pendingSocket: PendingSocket): void {
    this.#lingeringClose.reject(pendingSocket, this.#unavailableError(pendingSocket.port));
  }

  readonly #sweep = (): void => {
    const now = performance.now();
    for (const pendingSocket of this.#waiting) {
      if (now - pendingSocket.arrivedAt < this.#timeoutMs) continue;
      this.#waiting.delete(pendingSocket);
      this.#rejectUnavailable(pendingSocket);
    }
    // A worker that had no free descriptor may accept sockets again.
    this.flush();
  };
}
