import { createHmac } from 'node:crypto';
import { type ClientOptions, WebSocket } from 'ws';
import { within } from './deadline.ts';

/** The credentials of an app, as clients and backends know them. */
export interface Credentials {
  readonly key: string;
  readonly secret: string;
}

export interface PusherMessage {
  readonly event: string;
  readonly channel?: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into what it expects to be there
  readonly data?: any;
  readonly user_id?: unknown;
}

/** What an app's backend answers to who wants to subscribe (`auth`), written by hand. */
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

/** A WebSocket client that speaks the Pusher protocol by hand. */
export class PusherClient {
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly texts: string[] = [];
  readonly credentials: Credentials;
  socketId = '';
  #read = 0;
  #heard: () => void = () => undefined;

  constructor(socket: WebSocket, credentials: Credentials) {
    this.socket = socket;
    this.credentials = credentials;
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.#heard();
      });
    });
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      this.texts.push(data.toString());
      this.#heard();
    });
  }

  /** The next message as text, in order; waits for it. */
  async nextText(timeoutMs?: number): Promise<string> {
    const arrival = (): Promise<void> =>
      new Promise((resolve) => {
        this.#heard = resolve;
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

  /** The next message, which has to be of that event; its `data` as the JSON in it says, where it is a string. */
  async expect(event: string, channel?: string): Promise<PusherMessage> {
    const message = await this.next();
    if (message.event !== event || message.channel !== channel) {
      throw new Error(`expected ${event} on ${channel}, got ${JSON.stringify(message)}`);
    }
    return message;
  }

  /** As `expect`; answers what the string in `data` holds. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into what it expects to be there
  async expectData(event: string, channel?: string): Promise<any> {
    const { data } = await this.expect(event, channel);
    if (typeof data !== 'string') throw new Error(`data of ${event} is no string: ${JSON.stringify(data)}`);
    return JSON.parse(data);
  }

  /** Reads on until a message of that event comes; what is before it is passed over. */
  async until(event: string, channel?: string, timeoutMs?: number): Promise<PusherMessage> {
    for (;;) {
      const message = await this.next(timeoutMs);
      if (message.event === event && message.channel === channel) return message;
    }
  }

  /** What came and was not read yet. */
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

  /** Whatever was sent to this client before has arrived when this resolves, and is unread. */
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

  /** Fails if anything came that was not read. */
  async expectNothing(): Promise<void> {
    await this.settle();
    const [first] = this.unread;
    if (first !== undefined) throw new Error(`expected nothing, got ${first}`);
  }

  /** Sends a subscribe as pusher-js does, signed where the kind of channel needs it. */
  askToSubscribe(channel: string, channelData?: string): void {
    const isSigned = /^(?:private|presence)-/.test(channel);
    const auth = isSigned ? channelAuth(this.credentials, this.socketId, channel, channelData) : '';
    this.send('pusher:subscribe', {
      channel,
      auth,
      ...(channelData !== undefined && { channel_data: channelData }),
    });
  }

  /** Subscribes; answers the data of the success, which is passed over what else there is on other channels. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into what it expects to be there
  async subscribe(channel: string, member?: { user_id: unknown; user_info?: unknown }): Promise<any> {
    this.askToSubscribe(channel, member === undefined ? undefined : JSON.stringify(member));
    const { data } = await this.until('pusher_internal:subscription_succeeded', channel);
    return JSON.parse(data);
  }

  /** Signs in; answers the data of the success. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into what it expects to be there
  async signIn(user: object): Promise<any> {
    const userData = JSON.stringify(user);
    this.send('pusher:signin', {
      auth: userAuth(this.credentials, this.socketId, userData),
      user_data: userData,
    });
    return JSON.parse((await this.until('pusher:signin_success')).data);
  }

  /** Closes politely and waits until the socket is gone. */
  async close(): Promise<void> {
    this.socket.close();
    await within(this.closed, 'the end of a client');
  }
}

/** Opens a socket and waits for nothing more than the handshake. */
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

/** Connects and waits until the connection is established. */
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
