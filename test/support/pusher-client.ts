import { createHmac } from 'node:crypto';
import { type ClientOptions, WebSocket } from 'ws';
import { within } from './deadline.ts';

/** The key and secret of an app. */
export interface Credentials {
  readonly key: string;
  readonly secret: string;
}

export interface PusherMessage {
  readonly event: string;
  readonly channel?: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  readonly data?: any;
  readonly user_id?: unknown;
}

/** Computes the `auth` of a subscription, as the app's backend does, without the SDK. */
export function channelAuth(
  { key, secret }: Credentials,
  socketId: string,
  channel: string,
  channelData?: string,
): string {
  const text = `${socketId}:${channel}${channelData === undefined ? '' : `:${channelData}`}`;
  return `${key}:${createHmac('sha256', secret).update(text).digest('hex')}`;
}

export function userAuth({ key, secret }: Credentials, socketId: string, userData: string): string {
  return `${key}:${createHmac('sha256', secret).update(`${socketId}::user::${userData}`).digest('hex')}`;
}

/** A WebSocket client of the Pusher protocol. */
export class PusherClient {
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly texts: string[] = [];
  readonly credentials: Credentials;
  socketId = '';
  #read = 0;
  #notify: () => void = () => undefined;

  constructor(socket: WebSocket, credentials: Credentials) {
    this.socket = socket;
    this.credentials = credentials;
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.#notify();
      });
    });
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      this.texts.push(data.toString());
      this.#notify();
    });
  }

  /** Waits for the next message; returns its text. */
  async nextText(timeoutMs?: number): Promise<string> {
    const arrival = (): Promise<void> =>
      new Promise((resolve) => {
        this.#notify = resolve;
      });
    while (this.#read >= this.texts.length) {
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error('the connection is closed');
      await within(arrival(), 'a message', timeoutMs);
    }
    const text = this.texts[this.#read] ?? '';
    this.#read += 1;
    return text;
  }

  async next(timeoutMs?: number): Promise<PusherMessage> {
    return JSON.parse(await this.nextText(timeoutMs)) as PusherMessage;
  }

  /** Returns the next message, which must have that event and channel. */
  async expect(event: string, channel?: string): Promise<PusherMessage> {
    const message = await this.next();
    if (message.event !== event || message.channel !== channel) {
      throw new Error(`expected ${event} on ${channel}, got ${JSON.stringify(message)}`);
    }
    return message;
  }

  /** Like `expect`; returns the parsed JSON of the string in `data`. */
  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  async expectData(event: string, channel?: string): Promise<any> {
    const { data } = await this.expect(event, channel);
    if (typeof data !== 'string')
      throw new Error(`data of ${event} is not a string: ${JSON.stringify(data)}`);
    return JSON.parse(data);
  }

  /** Skips messages until one with that event and channel arrives. */
  async until(event: string, channel?: string, timeoutMs?: number): Promise<PusherMessage> {
    for (;;) {
      const message = await this.next(timeoutMs);
      if (message.event === event && message.channel === channel) return message;
    }
  }

  /** Messages received and not read. */
  get unread(): readonly string[] {
    return this.texts.slice(this.#read);
  }

  send(event: string, data?: unknown, channel?: string): void {
    this.socket.send(
      JSON.stringify({
        event,
        ...(data !== undefined && { data }),
        ...(channel !== undefined && { channel }),
      }),
    );
  }

  /** Waits until every message that was sent to this client before has arrived; leaves them unread. */
  async settle(): Promise<void> {
    this.send('pusher:ping', {});
    const seen = this.#read;
    for (;;) {
      const text = await this.nextText();
      if (text.includes('pusher:pong')) break;
    }
    this.texts.splice(this.#read - 1, 1);
    this.#read = seen;
  }

  /** Fails if an unread message exists, after all earlier messages have arrived. */
  async expectNothing(): Promise<void> {
    await this.settle();
    const [first] = this.unread;
    if (first !== undefined) throw new Error(`expected nothing, got ${first}`);
  }

  /** Sends a subscribe command, signed if the kind of channel requires it. */
  sendSubscribe(channel: string, channelData?: string): void {
    const isSigned = /^(?:private|presence)-/.test(channel);
    const auth = isSigned ? channelAuth(this.credentials, this.socketId, channel, channelData) : '';
    this.send('pusher:subscribe', {
      channel,
      auth,
      ...(channelData !== undefined && { channel_data: channelData }),
    });
  }

  /** Subscribes; returns the data of the success. Skips messages of other channels. */
  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  async subscribe(channel: string, member?: { user_id: unknown; user_info?: unknown }): Promise<any> {
    this.sendSubscribe(channel, member === undefined ? undefined : JSON.stringify(member));
    const { data } = await this.until('pusher_internal:subscription_succeeded', channel);
    return JSON.parse(data);
  }

  /** Signs in; returns the data of the success. */
  // biome-ignore lint/suspicious/noExplicitAny: a test accesses the fields that it expects
  async signIn(user: object): Promise<any> {
    const userData = JSON.stringify(user);
    this.send('pusher:signin', {
      auth: userAuth(this.credentials, this.socketId, userData),
      user_data: userData,
    });
    return JSON.parse((await this.until('pusher:signin_success')).data);
  }

  /** Sends a close frame and waits until the socket is closed. */
  async close(): Promise<void> {
    this.socket.close();
    await within(this.closed, 'a client to close');
  }
}

/** Opens a socket and waits for the WebSocket handshake only. */
export async function openPusherSocket(
  url: string,
  credentials: Credentials,
  options?: ClientOptions,
): Promise<PusherClient> {
  const socket = new WebSocket(url, options);
  const client = new PusherClient(socket, credentials);
  const open = new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
    socket.once('unexpected-response', (_request, response) =>
      reject(new Error(`status ${response.statusCode}`)),
    );
  });
  await within(open, `a connection to ${url}`);
  return client;
}

/** Connects and waits for `pusher:connection_established`. */
export async function connectPusher(
  url: string,
  credentials: Credentials,
  options?: ClientOptions,
): Promise<PusherClient> {
  const client = await openPusherSocket(url, credentials, options);
  const { socket_id: socketId } = await client.expectData('pusher:connection_established');
  client.socketId = socketId;
  return client;
}
