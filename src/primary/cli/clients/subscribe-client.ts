import type { IncomingMessage } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { Deferred } from '../../../shared/scheduling/deferred.ts';
import { CommandFailedError } from '../errors.ts';
import { errorMessageOf, oneLine, printable, printNote } from '../output.ts';

/** Includes the call of the auth webhook. */
const HANDSHAKE_TIMEOUT_MS = 15_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** Interval of pings. Without traffic within one interval after a ping, the connection is dead. */
const PING_INTERVAL_MS = 20_000;

const reply = v.object({
  event: v.string(),
  data: v.optional(v.object({ message: v.optional(v.string()) })),
});

/** Subscribes to channels and prints each message as one line of JSON. */
export class SubscribeClient {
  readonly #end = new Deferred();
  readonly #socket: WebSocket;
  readonly #channels: readonly string[];
  #subscribed = false;
  #isAlive = true;
  #livenessTimer: NodeJS.Timeout | undefined;

  constructor(url: URL, channels: readonly string[]) {
    this.#channels = channels;
    this.#socket = new WebSocket(url, { handshakeTimeout: HANDSHAKE_TIMEOUT_MS });
    this.#socket
      .on('open', () => this.#onOpen())
      .on('message', (data) => this.#onMessage(data.toString()))
      .on('ping', this.#markAlive)
      .on('pong', this.#markAlive)
      .on('error', ({ code, message }: NodeJS.ErrnoException) =>
        this.#fail(`gusher is not reachable at ${url.host} (${code ?? message})`),
      )
      .on('unexpected-response', (_request, response) => void this.#failWithResponse(response))
      .on('close', (code, reason) => this.#onClose(code, reason.toString()));
    // The reader of a pipe may exit first, such as `head`.
    process.stdout.on('error', () => this.stop());
  }

  /** Resolves after `stop`, or when the output is closed. Rejects when the connection ends otherwise. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** Closes the connection. */
  stop(): void {
    this.#end.resolve();
    this.#disconnect();
  }

  #onOpen(): void {
    this.#livenessTimer = setInterval(() => this.#checkAlive(), PING_INTERVAL_MS);
    const data = { multi_channel: this.#channels };
    this.#socket.send(JSON.stringify({ event: 'gusher.multi_subscribe', data }));
  }

  #onMessage(text: string): void {
    this.#isAlive = true;
    const received = this.#subscribed ? undefined : parseReply(text);
    switch (received?.event) {
      case 'gusher.multi_subscribe_succeeded':
        this.#subscribed = true;
        printNote(`subscribed to ${this.#channels.join(', ')}; press Ctrl-C to stop`);
        break;
      case 'gusher.multi_subscribe_error':
      case 'gusher.error':
        this.#fail(`not subscribed: ${printable(received.data?.message ?? 'no reason given')}`);
        break;
      default:
        this.#print(text);
    }
  }

  /** Pauses the socket while standard output is full. */
  #print(text: string): void {
    if (process.stdout.write(`${oneLine(text)}\n`)) return;
    this.#socket.pause();
    process.stdout.once('drain', () => this.#socket.resume());
  }

  #checkAlive(): void {
    if (!this.#isAlive) {
      this.#fail('ping timeout: the server does not respond');
      return;
    }
    // A paused socket receives no pongs.
    this.#isAlive = this.#socket.isPaused;
    this.#socket.ping();
  }

  readonly #markAlive = (): void => {
    this.#isAlive = true;
  };

  async #failWithResponse(response: IncomingMessage): Promise<void> {
    const body = await textOf(response).catch(() => '');
    this.#fail(`connection rejected (${response.statusCode}): ${errorMessageOf(body)}`);
  }

  #onClose(code: number, reason: string): void {
    clearInterval(this.#livenessTimer);
    const suffix = reason === '' ? '' : `: ${printable(reason)}`;
    this.#fail(`the connection was closed (${code}${suffix})`);
  }

  /** Only the first call sets the reason. */
  #fail(message: string): void {
    this.#end.reject(new CommandFailedError(message));
    this.#disconnect();
  }

  #disconnect(): void {
    clearInterval(this.#livenessTimer);
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    this.#socket.close();
    setTimeout(() => this.#socket.terminate(), CLOSE_TIMEOUT_MS).unref();
  }
}

function parseReply(text: string): v.InferOutput<typeof reply> | undefined {
  try {
    const parsed = v.safeParse(reply, JSON.parse(text));
    return parsed.success ? parsed.output : undefined;
  } catch {
    // Not JSON: the caller prints it unchanged.
    return undefined;
  }
}
