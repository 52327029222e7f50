import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';

export interface WebhookCall {
  readonly method: string | undefined;
  readonly contentType: string | undefined;
  readonly body: string;
}

/** The auth webhook of an app; records the calls and sends the response that the test sets. */
export class WebhookServer {
  readonly calls: WebhookCall[] = [];
  /** Calls without a response: current and maximum. */
  inFlight = 0;
  maxInFlight = 0;
  connections = 0;
  answer: (response: ServerResponse, call: WebhookCall) => void = (response) => response.end();
  readonly #server: Server;
  readonly #scheme: string;
  readonly #sockets = new Set<Socket>();

  private constructor(tls: ServerOptions | undefined) {
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server = tls === undefined ? createServer() : createTlsServer(tls);
    this.#server.on('request', (request, response) => void this.#handle(request, response));
    this.#server.on('connection', (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
    });
  }

  static async start(tls?: ServerOptions): Promise<WebhookServer> {
    const webhook = new WebhookServer(tls);
    webhook.#server.listen(0, '127.0.0.1');
    await once(webhook.#server, 'listening');
    return webhook;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as { port: number }).port}/auth`;
  }

  /** Closes every connection, so that no call waits for its timeout. */
  stopHanging(): void {
    this.answer = (response) => response.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.inFlight += 1;
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    response.once('close', () => {
      this.inFlight -= 1;
    });
    const { method, headers } = request;
    const call = { method, contentType: headers['content-type'], body: await text(request) };
    this.calls.push(call);
    this.answer(response, call);
  }
}
