import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { text as textOf } from 'node:stream/consumers';
import type { Settings } from '../../../shared/config/settings.ts';
import { reachableFromHere } from '../../../shared/net/address.ts';
import { HttpClient, HttpRequestError, type OutboundRequest } from '../../../shared/net/http-client.ts';
import { CommandFailedError } from '../errors.ts';
import { errorMessageOf } from '../output.ts';

const TIMEOUT_MS = 10_000;
const RESPONSE_MAX_BYTES = 1024 * 1024;
/** The server sends an empty line every 15 seconds. */
const SILENCE_MS = 45_000;

/** The settings with which a command reaches the API of a running gusher. */
export const API_SETTINGS = ['apiListen', 'apiToken'] as const;

interface ApiResponse {
  readonly status: number;
  readonly body: string;
}

/** Calls the API of a gusher on this machine, with the token of its settings. */
export class ApiClient {
  readonly #host: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor({ apiListen, apiToken }: Pick<Settings, (typeof API_SETTINGS)[number]>) {
    this.#host = reachableFromHere(apiListen);
    this.#headers = apiToken === undefined ? {} : { Authorization: `Bearer ${apiToken}` };
  }

  /** Posts JSON. Rejects with a `CommandFailedError` if gusher does not respond. */
  post(path: string, body: string): Promise<ApiResponse> {
    return this.#send(path, { headers: { 'Content-Type': 'application/json', ...this.#headers }, body });
  }

  /** Rejects like `post`. */
  get(path: string): Promise<ApiResponse> {
    return this.#send(path, { headers: this.#headers });
  }

  async #send(path: string, request: Pick<OutboundRequest, 'headers' | 'body'>): Promise<ApiResponse> {
    const client = new HttpClient({
      timeoutMs: TIMEOUT_MS,
      requestsMax: 1,
      requestsPerAppMax: 1,
      responseMaxBytes: RESPONSE_MAX_BYTES,
      allowPrivate: true,
    });
    try {
      const url = `http://${this.#host}`;
      const response = await client.send({ app: '', url, path, ...request, isRepeatable: false });
      return { status: response.status, body: response.body.toString() };
    } catch (error) {
      if (!(error instanceof HttpRequestError)) throw error;
      const { reason, systemCode = reason } = error;
      throw this.#unreachable(
        reason === 'timeout' ? `no response within ${TIMEOUT_MS / 1_000} seconds` : systemCode,
      );
    } finally {
      client.close();
    }
  }

  /**
   * Yields the lines of a response that does not end, without empty ones, until `signal` aborts. Throws a
   * `CommandFailedError` if gusher rejects the request, ends the response, or is silent for too long.
   */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<string, void> {
    const response = await this.#get(path, signal);
    if (response.statusCode !== 200) {
      throw new CommandFailedError(`rejected: ${errorMessageOf(await textOf(response).catch(() => ''))}`);
    }
    response.socket.setTimeout(SILENCE_MS, () => response.destroy());
    const lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY });
    // The interface repeats errors of the response, also after the caller stopped reading.
    lines.on('error', () => undefined);
    try {
      for await (const line of lines) if (line !== '') yield line;
    } finally {
      response.destroy();
    }
    if (!signal.aborted) throw new CommandFailedError(`gusher at ${this.#host} closed the connection`);
  }

  #get(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const url = `http://${this.#host}${path}`;
      const call = request(url, { headers: this.#headers, agent: false, signal }, (response) => {
        clearTimeout(timer);
        // An aborted response ends the lines.
        response.on('error', () => undefined);
        resolve(response);
      });
      const timer = setTimeout(() => call.destroy(new Error('no response')), TIMEOUT_MS);
      call.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        reject(this.#unreachable(error.code ?? error.message));
      });
      call.end();
    });
  }

  #unreachable(cause: string): CommandFailedError {
    return new CommandFailedError(`gusher is not reachable at ${this.#host} (${cause})`);
  }
}
