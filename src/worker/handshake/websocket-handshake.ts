import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type ServerOptions, WebSocketServer, type Server as WsServer } from 'ws';
import { ERRORS, type ErrorEntry } from '../../shared/errors/catalogue.ts';
import { httpErrorResponse } from '../../shared/errors/http-error.ts';
import type { ClientLog } from '../../shared/logging/client-log.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import { ClientSocket } from '../connection/client-socket.ts';
import type { UpgradeRequest } from './upgrade-request.ts';
import { requestForWs } from './ws-request.ts';

/** How long a client may take to answer a close frame, in ms. */
const CLOSE_TIMEOUT_MS = 5_000;
/** RFC 6455 §7.4.1. */
const INTERNAL_ERROR = 1011;

/** Ends upgrade requests: with the 101 of RFC 6455, or with an HTTP error. The only file that runs the server of ws. */
export class WebSocketHandshake {
  readonly #server: WsServer<typeof ClientSocket>;
  readonly #unexpected: UnexpectedErrors;
  readonly #clientLog: Pick<ClientLog, 'connectRejected'>;

  constructor(options: {
    messageMaxBytes: number;
    compression: boolean;
    unexpected: UnexpectedErrors;
    clientLog: Pick<ClientLog, 'connectRejected'>;
  }) {
    this.#unexpected = options.unexpected;
    this.#clientLog = options.clientLog;
    // ws 8.23 documents `closeTimeout`, but its types lack it.
    const serverOptions: ServerOptions<typeof ClientSocket> & { closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      // The send queue sends pongs, like everything else.
      autoPong: false,
      perMessageDeflate: options.compression,
      maxPayload: options.messageMaxBytes,
      closeTimeout: CLOSE_TIMEOUT_MS,
      WebSocket: ClientSocket,
    };
    this.#server = new WebSocketServer<typeof ClientSocket>(serverOptions);
    this.#server.on('wsClientError', (_error, socket) => this.reject(socket as Socket, ERRORS.bad_request));
  }

  /**
   * Sends the 101 and calls `onOpen` with the client. `head` are bytes that were read after the request. If ws finds
   * the request invalid, it is rejected instead.
   */
  complete(
    request: UpgradeRequest,
    socket: Socket,
    head: Buffer,
    onOpen: (client: ClientSocket) => void,
  ): void {
    // ws reads the method, the target and the headers, and keeps nothing of the request.
    this.#server.handleUpgrade(requestForWs(request) as IncomingMessage, socket, head, (client) => {
      client.countFrames();
      try {
        onOpen(client);
      } catch (error) {
        // No HTTP error can follow the 101.
        this.#unexpected.report(error, 'connect');
        client.close(INTERNAL_ERROR, ERRORS.internal.message);
      }
    });
  }

  /** Sends an HTTP error instead of the 101, and logs it. `app` is the key that the client named. */
  reject(socket: Socket, error: ErrorEntry, app?: string): void {
    this.#clientLog.connectRejected(error, { app, address: socket.remoteAddress });
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    socket.once('finish', socket.destroy);
    socket.end(httpErrorResponse(error));
  }
}
