import type { Socket } from 'node:net';
import type { ErrorBody } from '../../shared/errors/http-error.ts';
import type { ChannelMessage } from '../../shared/ipc/messages.ts';
import type { SocketReporter } from '../ipc/socket-reporter.ts';
import { HttpServer } from './http/http-server.ts';
import type { Router } from './http/router.ts';

const HEADERS_TIMEOUT_MS = 10_000;

export interface ApiServerDependencies {
  readonly requests: Pick<Router, 'serve'>;
  readonly sockets: Pick<SocketReporter, 'acknowledge'>;
  readonly errorBodyAt: (path: string) => ErrorBody;
}

/**
 * Serves the sockets of the API port that the primary hands off to this worker.
 */
export class ApiServer {
  readonly #sockets: ApiServerDependencies['sockets'];
  readonly #http: HttpServer;

  constructor({ requests, sockets, errorBodyAt }: ApiServerDependencies) {
    this.#sockets = sockets;
    this.#http = new HttpServer({
      serve: requests.serve,
      errorBodyAt,
      headTimeoutMs: HEADERS_TIMEOUT_MS,
      keptMax: Number.POSITIVE_INFINITY,
    });
  }

  /** Starts to receive sockets. */
  open(): void {
    process.on('message', this.#onMessage);
  }

  /** Stops receiving sockets and closes the HTTP server as `HttpServer.close` does. */
  async close(timeoutMs: number): Promise<void> {
    process.off('message', this.#onMessage);
    await this.#http.close(timeoutMs);
  }

  readonly #onMessage = (message: ChannelMessage, socket: Socket | undefined): void => {
    if (message.type !== 'api:connection') return;
    this.#sockets.acknowledge(message.handoffId);
    // Node passes no socket if the client disconnected during the handoff.
    if (socket !== undefined) this.#http.server.emit('connection', socket);
  };
}
