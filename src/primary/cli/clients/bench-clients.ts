import { WebSocket } from 'ws';

const HANDSHAKE_TIMEOUT_MS = 15_000;
const SUBSCRIBED = '"gusher.subscribe_succeeded"';
const REJECTED = /"(?:gusher\.subscribe_error|gusher\.error)"/;
/** The time of a publication in its data, in ms of `performance.now()` of this process. */
const SENT_AT = '"sentAt":';

export interface BenchClientsOptions {
  readonly url: URL;
  /** Receives the latency of each delivery in ms. */
  readonly onDelivery: (latencyMs: number) => void;
}

/** Subscribers of one process. */
export class BenchClients {
  readonly #options: BenchClientsOptions;
  readonly #sockets = new Set<WebSocket>();
  /** Connections that closed before `close`. */
  lost = 0;

  constructor(options: BenchClientsOptions) {
    this.#options = options;
  }

  /** Connects and subscribes one client. Rejects with the reason if that fails. */
  connect(channel: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.#options.url, {
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        perMessageDeflate: false,
      });
      socket.on('open', () => socket.send(JSON.stringify({ event: 'gusher.subscribe', data: { channel } })));
      socket.on('error', ({ code, message }: NodeJS.ErrnoException) => reject(new Error(code ?? message)));
      socket.on('close', (code) => {
        if (this.#sockets.delete(socket)) this.lost += 1;
        reject(new Error(`closed with ${code}`));
      });
      socket.on('message', (data: Buffer) => {
        if (this.#sockets.has(socket)) {
          this.#receive(data);
          return;
        }
        const text = data.toString();
        if (text.includes(SUBSCRIBED)) {
          this.#sockets.add(socket);
          resolve();
        } else if (REJECTED.test(text)) {
          reject(new Error('the subscription was rejected'));
          socket.terminate();
        }
      });
    });
  }

  close(): void {
    const sockets = [...this.#sockets];
    this.#sockets.clear();
    for (const socket of sockets) socket.terminate();
  }

  /** Reads only the time: parsing every message would cost more than receiving it. */
  #receive(data: Buffer): void {
    const at = data.indexOf(SENT_AT);
    if (at < 0) return;
    const from = at + SENT_AT.length;
    const sentAt = Number.parseFloat(data.toString('latin1', from, from + 20));
    this.#options.onDelivery(performance.now() - sentAt);
  }
}
