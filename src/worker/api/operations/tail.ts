import type { IncomingMessage, ServerResponse } from 'node:http';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import type { TailFilter } from '../../../shared/tail/tail.ts';
import type { TailClient } from '../../ipc/tail-client.ts';
import type { Handler } from '../http/exchange.ts';
import { queryOf } from '../http/pagination.ts';

const DATA_BYTES = 200;
const DATA_MAX_BYTES = 10_000;
const FILTER_MAX_LENGTH = 256;
/** Attack: a client that reads slowly. Beyond this, entries are dropped and counted. */
const UNSENT_MAX_BYTES = 256 * 1024;
/** An empty line keeps proxies and the silence timeout of the server from closing a quiet tail. */
const KEEP_ALIVE_MS = 15_000;
const SECONDS_MAX = 86_400;

/**
 * `GET /v1/tail`: the live publications, connects, disconnects and rejections of this host, one line of JSON each, until
 * the client closes. `app`, `channel` and `user` filter; `data` is the number of bytes of data that are shown, `seconds` the
 * time after which the response ends.
 */
export function tail(client: Pick<TailClient, 'open'>): Handler {
  return async ({ request, response }) => {
    const { filter, dataMaxBytes, seconds } = tailQuery(request);
    if (request.method === 'HEAD') {
      response.writeHead(200, HEADERS).end();
      return;
    }
    const stream = new TailStream(response);
    const close = await client.open(filter, dataMaxBytes, stream);
    response.once('close', () => {
      stream.stop();
      close();
    });
    // The client may have closed while the tail opened.
    if (response.destroyed) close();
    else stream.start(seconds);
  };
}

const HEADERS = {
  'Content-Type': 'application/x-ndjson; charset=utf-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  // nginx would keep entries until a buffer is full.
  'X-Accel-Buffering': 'no',
};

class TailStream {
  readonly #response: ServerResponse;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #endTimer: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  start(seconds: number | undefined): void {
    this.#response.writeHead(200, HEADERS);
    this.#write({ type: 'opened' });
    this.#timer = setInterval(() => this.#keepAlive(), KEEP_ALIVE_MS);
    if (seconds !== undefined) this.#endTimer = setTimeout(() => this.end(), seconds * 1_000);
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#endTimer);
  }

  receive(lines: readonly string[], dropped: number): void {
    if (!this.#response.headersSent) return;
    this.#dropped += dropped;
    if (this.#response.writableLength > UNSENT_MAX_BYTES) {
      this.#dropped += lines.length;
      return;
    }
    if (lines.length > 0) this.#response.write(`${lines.join('\n')}\n`);
    this.#reportDropped();
  }

  end(): void {
    this.stop();
    this.#response.end();
  }

  #keepAlive(): void {
    if (this.#response.writableLength > UNSENT_MAX_BYTES) return;
    this.#reportDropped();
    this.#response.write('\n');
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return;
    this.#write({ type: 'dropped', count: this.#dropped });
    this.#dropped = 0;
  }

  #write(facts: object): void {
    this.#response.write(`${JSON.stringify({ time: new Date().toISOString(), ...facts })}\n`);
  }
}

interface TailQuery {
  readonly filter: TailFilter;
  readonly dataMaxBytes: number;
  readonly seconds: number | undefined;
}

function tailQuery(request: IncomingMessage): TailQuery {
  const query = queryOf(request);
  const filter: { app?: string; channel?: string; user?: string } = {};
  for (const name of ['app', 'channel', 'user'] as const) {
    const value = query.get(name);
    if (value === null) continue;
    if (value === '' || value.length > FILTER_MAX_LENGTH) throw new GusherError('bad_tail');
    filter[name] = value;
  }
  return {
    filter,
    dataMaxBytes: wholeNumber(query.get('data'), 0, DATA_MAX_BYTES) ?? DATA_BYTES,
    seconds: wholeNumber(query.get('seconds'), 1, SECONDS_MAX),
  };
}

function wholeNumber(text: string | null, min: number, max: number): number | undefined {
  if (text === null) return undefined;
  const value = Number(text);
  if (!/^\d{1,5}$/.test(text) || value < min || value > max) throw new GusherError('bad_tail');
  return value;
}
