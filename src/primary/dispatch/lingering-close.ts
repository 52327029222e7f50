import type { Socket } from 'node:net';
import type { ErrorEntry } from '../../shared/errors/catalogue.ts';
import { httpErrorResponse } from '../../shared/errors/http-error.ts';
import type { ClientLog } from '../../shared/logging/client-log.ts';
import type { PendingSocket } from './pending-socket.ts';
import { startReading } from './socket-reading.ts';

const SWEEP_MS = 250;
/** How long a rejected client may take to read the error before its socket is destroyed. */
const LINGER_MS = 1_000;

/**
 * Rejects sockets with an HTTP error, and keeps each open while its client reads that (nginx `lingering_close`).
 *
 * Attack: rejected clients that never close. Each gets a second, and beyond `maxSockets` the oldest is destroyed.
 */
export class LingeringClose {
  readonly #clientLog: Pick<ClientLog, 'connectRejected'>;
  readonly #maxSockets: number;
  /** The time at which each socket is destroyed, oldest first. */
  readonly #lingering = new Map<Socket, number>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: { clientLog: Pick<ClientLog, 'connectRejected'>; maxSockets: number }) {
    this.#clientLog = options.clientLog;
    this.#maxSockets = options.maxSockets;
    this.#sweeper = setInterval(this.#sweep, SWEEP_MS);
  }

  /** Rejected sockets that are still open. */
  get size(): number {
    return this.#lingering.size;
  }

  reject({ socket, errorBody }: PendingSocket, error: ErrorEntry): void {
    this.#clientLog.connectRejected(error, { address: socket.remoteAddress });
    if (this.#lingering.size >= this.#maxSockets) this.#dropOldest();
    this.#lingering.set(socket, performance.now() + LINGER_MS);
    socket.once('close', () => this.#lingering.delete(socket));
    socket.removeAllListeners('data');
    socket.end(httpErrorResponse(error, errorBody));
    // If a closed socket has unread bytes, the system sends a reset, and the client may lose the error.
    startReading(socket);
  }

  /** Closes every socket as soon as its error is written. Call it when no socket is accepted any more. */
  close(): void {
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
    for (const [socket, until] of this.#lingering) {
      if (now < until) break;
      socket.destroy();
    }
  };
}
