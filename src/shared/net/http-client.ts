import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

/** Attack: an address that never stops answering. */
const ANSWER_MAX_BYTES = 256 * 1024;
/** Calls that may wait for a free place, as a multiple of the places. */
const QUEUE_FACTOR = 10;

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** More calls wait than may. */
export class CallsBusyError extends Error {}

/** The call, its wait for a place included, did not end in time. */
export class CallLateError extends Error {}

/** A place among the calls in flight, or a wait for one. */
type Waiting = () => void;

/**
 * Calls to addresses of apps: kept connections, a deadline for each call, so many at once and no more. Whoever comes
 * beyond that waits, within the same deadline.
 */
export class HttpCalls {
  readonly #deadlineMs: number;
  readonly #maxInFlight: number;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;
  readonly #waiting: Waiting[] = [];
  #inFlight = 0;

  constructor(options: { deadlineMs: number; maxInFlight: number }) {
    this.#deadlineMs = options.deadlineMs;
    this.#maxInFlight = options.maxInFlight;
    const keepAlive = { keepAlive: true, maxSockets: options.maxInFlight };
    this.#http = new HttpAgent(keepAlive);
    this.#https = new HttpsAgent(keepAlive);
  }

  /**
   * Posts a body. Rejects with a `CallsBusyError`, a `CallLateError`, or another error when there is no answer or
   * one that is too long.
   */
  async post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<HttpAnswer> {
    const deadline = AbortSignal.timeout(this.#deadlineMs);
    await this.#takePlace(deadline);
    try {
      return await this.#post(url, headers, body, deadline);
    } catch (error) {
      throw deadline.aborted ? new CallLateError() : error;
    } finally {
      this.#leavePlace();
    }
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  async #takePlace(deadline: AbortSignal): Promise<void> {
    if (this.#inFlight < this.#maxInFlight) {
      this.#inFlight += 1;
      return;
    }
    if (this.#waiting.length >= QUEUE_FACTOR * this.#maxInFlight) throw new CallsBusyError();
    await new Promise<void>((resolve, reject) => {
      const enter: Waiting = () => {
        deadline.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(new CallLateError());
      };
      deadline.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(enter);
    });
  }

  /** The place goes to whoever waits longest, or is free. */
  #leavePlace(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inFlight -= 1;
    else next();
  }

  async #post(
    url: string,
    headers: Readonly<Record<string, string>>,
    body: string,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    try {
      return await this.#postOnce(url, headers, body, signal);
    } catch (error) {
      // A kept connection may have been closed by the other side just when it was used again (RFC 9112 §9.3.1).
      if (!(error instanceof StaleConnectionError)) throw error;
      return this.#postOnce(url, headers, body, signal);
    }
  }

  #postOnce(
    url: string,
    headers: Readonly<Record<string, string>>,
    body: string,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const secure = url.startsWith('https:');
    const options: RequestOptions = {
      method: 'POST',
      agent: secure ? this.#https : this.#http,
      signal,
      headers: {
        'Content-Length': Buffer.byteLength(body),
        Accept: 'application/json',
        'User-Agent': 'gusher',
        ...headers,
      },
    };
    return new Promise((resolve, reject) => {
      const request = (secure ? httpsRequest : httpRequest)(url, options, (response) => {
        readAnswer(response).then(resolve, reject);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        const stale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        reject(stale ? new StaleConnectionError() : error);
      });
      request.end(body);
    });
  }
}

class StaleConnectionError extends Error {}

async function readAnswer(response: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_MAX_BYTES) {
      response.destroy();
      throw new Error('the answer is too long');
    }
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
}
