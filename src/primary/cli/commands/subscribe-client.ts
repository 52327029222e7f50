import type { IncomingMessage } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import { Deferred } from '../../../shared/scheduling/deferred.ts';
import { CommandFailedError } from '../errors.ts';
import { errorMessageOf, oneLine, printNote } from '../output.ts';

/** The webhook of the app is asked in this time. */
const HANDSHAKE_TIMEOUT_MS = 15_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** A link that is silent for between one and two of these, after it was asked for a sign, is dead. */
const SILENCE_MS = 20_000;

const reply = v.object({
  event: v.string(),
  data: v.optional(v.object({ message: v.optional(v.string()) })),
});

/** One connection that subscribes to channels and prints what they bring, a line of JSON each. */
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
      .on('open', () => this.#open())
      .on('message', (data) => this.#onMessage(data.toString()))
      .on('ping', this.#markAlive)
      .on('pong', this.#markAlive)
      .on('error', ({ code, message }: NodeJS.ErrnoException) =>
        this.#fail(`no gusher answers at ${url.host} (${code ?? message})`),
      )
      .on('unexpected-response', (_request, response) => void this.#failWithResponse(response))
      .on('close', (code, reason) => this.#closed(code, reason.toString()));
    // The reader of a pipe may leave first, as `head` does.
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

  #open(): void {
    this.#livenessTimer = setInterval(() => this.#checkAlive(), SILENCE_MS);
    const data = { multi_channel: this.#channels };
    this.#socket.send(JSON.stringify({ event: 'gusher.multi_subscribe', data }));
  }

  #onMessage(text: string): void {
    this.#isAlive = true;
    const answer = this.#subscribed ? undefined : replyIn(text);
    switch (answer?.event) {
      case 'gusher.multi_subscribe_succeeded':
        this.#subscribed = true;
        printNote(`subscribed to ${this.#channels.join(', ')}; Ctrl-C ends`);
        break;
      case 'gusher.multi_subscribe_error':
      case 'gusher.error':
        this.#fail(`not subscribed: ${answer.data?.message ?? 'no reason was given'}`);
        break;
      default:
        this.#print(text);
    }
  }

  /** While nobody takes the output, the server's bytes wait where they are. */
  #print(text: string): void {
    if (process.stdout.write(`${oneLine(text)}\n`)) return;
    this.#socket.pause();
    process.stdout.once('drain', () => this.#socket.resume());
  }

  #checkAlive(): void {
    if (!this.#isAlive) {
      this.#fail('no sign of life from the server');
      return;
    }
    // While nothing is read no sign can be heard.
    this.#isAlive = this.#socket.isPaused;
    this.#socket.ping();
  }

  readonly #markAlive = (): void => {
    this.#isAlive = true;
  };

  async #failWithResponse(response: IncomingMessage): Promise<void> {
    const body = await textOf(response).catch(() => '');
    this.#fail(`refused (${response.statusCode}): ${errorMessageOf(body)}`);
  }

  #closed(code: number, reason: string): void {
    clearInterval(this.#livenessTimer);
    const suffix = reason === '' ? '' : `: ${reason}`;
    this.#fail(`the connection was closed (${code}${suffix})`);
  }

  /** The first reason counts. */
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

function replyIn(text: string): v.InferOutput<typeof reply> | undefined {
  try {
    const parsed = v.safeParse(reply, JSON.parse(text));
    return parsed.success ? parsed.output : undefined;
  } catch {
    // Not JSON: printed as it is.
    return undefined;
  }
}
