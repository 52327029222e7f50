import { type ClientOptions, WebSocket } from 'ws';
import { within } from './deadline.ts';

export interface Message {
  readonly event: string;
  readonly channel?: string;
  readonly socket_id?: string;
  readonly id?: unknown;
  readonly time?: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  readonly data?: any;
}

/** A WebSocket client of the native protocol. */
export class Client {
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  /** Decoded when it is read, because many tests leave large messages unread. */
  readonly #received: Buffer[] = [];
  #waiting: ((message: Buffer) => void) | undefined;

  constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on('error', () => undefined);
    socket.on('message', (message: Buffer) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#received.push(message);
      else waiting(message);
    });
  }

  /** Waits for the next message; returns its text. */
  async nextText(timeoutMs?: number): Promise<string> {
    const first = this.#received.shift();
    if (first !== undefined) return first.toString();
    const next = new Promise<Buffer>((resolve) => {
      this.#waiting = resolve;
    });
    return (await within(next, 'a message', timeoutMs)).toString();
  }

  async next(timeoutMs?: number): Promise<Message> {
    return JSON.parse(await this.nextText(timeoutMs)) as Message;
  }

  /** Number of messages received and not read. */
  get unread(): number {
    return this.#received.length;
  }

  /** Fails if an unread message exists or one arrives within `forMs`. The only helper that waits for time to pass. */
  async expectNothing(forMs = 200): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, forMs));
    const [first] = this.#received;
    if (first !== undefined) throw new Error(`expected nothing, got ${first.toString().slice(0, 200)}`);
  }

  send(event: string, data?: unknown, more: object = {}): void {
    this.socket.send(JSON.stringify({ event, ...(data !== undefined && { data }), ...more }));
  }

  /** Sends a command; returns its reply, which must be the next message. */
  request(event: string, data?: unknown, more?: object): Promise<Message> {
    this.send(event, data, more);
    return this.next();
  }

  async subscribe(channel: string): Promise<void> {
    const reply = await this.request('gusher.subscribe', { channel });
    if (reply.event !== 'gusher.subscribe_succeeded') throw new Error(`not subscribed: ${reply.event}`);
  }

  /** Sends a close frame and waits until the socket is closed. */
  async close(): Promise<void> {
    this.socket.close();
    await within(this.closed, 'a client to close');
  }
}

/** Connects and waits until the socket is open. */
export async function connectClient(url: string, options?: ClientOptions): Promise<Client> {
  const socket = new WebSocket(url, options);
  const client = new Client(socket);
  const open = new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  await within(open, `a connection to ${url}`);
  return client;
}

/** Tries to connect; returns the HTTP error. */
export async function expectError(url: string): Promise<{ status: number; code: string }> {
  const socket = new WebSocket(url);
  socket.on('error', () => undefined);
  const errorEntry = new Promise<{ status: number; code: string }>((resolve, reject) => {
    socket.once('open', () => reject(new Error(`${url} accepted the client`)));
    socket.once('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const { error } = JSON.parse(Buffer.concat(chunks).toString()) as { error: { code: string } };
        resolve({ status: response.statusCode ?? 0, code: error.code });
      });
    });
  });
  try {
    return await within(errorEntry, `an error from ${url}`);
  } finally {
    socket.terminate();
  }
}
