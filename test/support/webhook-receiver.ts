import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { WebhookEvent } from '../../src/shared/model/webhook-event.ts';
import { eventually } from './deadline.ts';

export interface ReceivedBody {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The event webhook of an app; records every request. */
export class WebhookReceiver {
  /** All received requests. */
  readonly bodies: ReceivedBody[] = [];
  /** Events of the requests that got status 200. */
  readonly events: WebhookEvent[] = [];
  /** Responses to the next requests; the default is 200. */
  readonly answers: (number | 'nothing' | 'hang up')[] = [];
  readonly #server: Server;
  readonly #scheme: string;

  /** Uses TLS if a key and a certificate are given. */
  constructor(tls?: { key: Buffer; cert: Buffer }) {
    const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      this.bodies.push({ headers: request.headers, body });
      const answer = this.answers.shift() ?? 200;
      if (answer === 'nothing') return;
      if (answer === 'hang up') {
        request.socket.destroy();
        return;
      }
      if (answer === 200) this.events.push(...(JSON.parse(body) as { events: WebhookEvent[] }).events);
      response.statusCode = answer;
      response.end();
    };
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server = tls === undefined ? createServer(receive) : createTlsServer(tls, receive);
  }

  async open(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}/webhook?secret=hush`;
  }

  /** Events of a channel, in order. */
  of(channel: string): WebhookEvent[] {
    return this.events.filter((event) => event.channel === channel);
  }

  async received(channel: string, count: number, timeoutMs?: number): Promise<WebhookEvent[]> {
    const what = `the webhook receives ${count} events of ${channel} (received ${JSON.stringify(this.of(channel))})`;
    await eventually(() => this.of(channel).length >= count, what, timeoutMs);
    return this.of(channel);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
