import { isUtf8 } from 'node:buffer';
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { FairSlots, type SlotRequest } from '../scheduling/fair-slots.ts';
import { isPrivateAddress } from './private-address.ts';
import { lookupShared } from './shared-lookup.ts';

/** Queue length as a multiple of the slots. */
const QUEUE_FACTOR = 10;
const SWITCHING_PROTOCOLS = 101;
/** A receiver may send 102 (Processing) now and then while it works. */
const INTERIM_RESPONSES_MAX = 100;
const KEPT_SOCKETS_PER_HOST_MAX = 16;
/** Shorter than the keep-alive timeouts of common servers, so that few kept connections are stale. */
const KEPT_SOCKET_IDLE_MS = 4_000;

/** Why a request has no usable response. */
export type HttpFailureReason =
  /** The queue of the app is full; nothing was sent. */
  | 'busy'
  /** The request, including its wait for a slot, did not end in time. */
  | 'timeout'
  /** The host has only private addresses, and they are not allowed. */
  | 'private_address'
  /** No connection: DNS, TCP or TLS failed (`systemCode`). */
  | 'unreachable'
  /** The connection ended before the response did. */
  | 'connection_closed'
  /** The response is not HTTP/1.1. */
  | 'malformed_response'
  /** 101 Switching Protocols, which gusher did not request (RFC 9110 §15.2.2). */
  | 'unexpected_upgrade'
  | 'response_too_large'
  /** A content coding, though `Accept-Encoding: identity` was sent. */
  | 'encoded_response'
  /** The client was closed. */
  | 'closed';

/** A failed request. Contains no URL, header or body, because each may contain a secret. */
export class HttpRequestError extends Error {
  readonly reason: HttpFailureReason;
  /** Of Node.js or OpenSSL, such as `ECONNREFUSED`. */
  readonly systemCode: string | undefined;
  /** Of the response, if one began. */
  readonly status: number | undefined;

  constructor(reason: HttpFailureReason, details: { systemCode?: string; status?: number } = {}) {
    const { systemCode, status } = details;
    super(systemCode === undefined ? reason : `${reason} (${systemCode})`);
    this.reason = reason;
    this.systemCode = systemCode;
    this.status = status;
  }
}

export interface HttpResponse {
  readonly status: number;
  readonly body: Buffer;
}

export interface OutboundRequest {
  /** Requests of one app share its slots. */
  readonly app: string;
  readonly url: string;
  /** Sent unchanged; in a URL, segments such as `..` would be resolved. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent with `POST`; without it the method is `GET`. */
  readonly body?: string | Buffer;
  /**
   * The receiver may process the request twice. Only such a request uses a kept connection, and is sent again if that
   * connection turns out to be closed (RFC 9112 §9.3.1).
   */
  readonly isRepeatable: boolean;
}

export interface HttpClientOptions {
  /** From the call to the end of the response body. */
  readonly timeoutMs: number;
  readonly requestsMax: number;
  readonly requestsPerAppMax: number;
  /** Attack: an endless response. */
  readonly responseMaxBytes: number;
  readonly allowPrivate: boolean;
}

/**
 * Sends HTTP requests to addresses that apps have configured. Every request settles within the timeout, regardless of
 * the receiver, and then returns its slot. Does not follow redirects. Serves apps round robin, so a receiver that
 * does not respond occupies only the share of its own app (`FairSlots`).
 */
export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #slots: FairSlots;
  readonly #kept: Agents;
  readonly #fresh: Agents;
  readonly #pending = new Set<PendingRequest>();

  constructor(options: HttpClientOptions) {
    const { requestsMax, requestsPerAppMax } = options;
    this.#options = options;
    this.#slots = new FairSlots({
      slotsMax: requestsMax,
      slotsPerKeyMax: requestsPerAppMax,
      queuedMax: QUEUE_FACTOR * requestsMax,
      queuedPerKeyMax: QUEUE_FACTOR * requestsPerAppMax,
    });
    this.#kept = agents({
      keepAlive: true,
      maxFreeSockets: KEPT_SOCKETS_PER_HOST_MAX,
      timeout: KEPT_SOCKET_IDLE_MS,
    });
    this.#fresh = agents({ keepAlive: false });
  }

  /** Rejects only with an `HttpRequestError`. */
  send(request: OutboundRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const pending = new PendingRequest(request, {
        ...this.#options,
        kept: request.isRepeatable ? this.#kept : this.#fresh,
        fresh: this.#fresh,
        settled: (outcome) => {
          this.#pending.delete(pending);
          if (outcome instanceof HttpRequestError) reject(outcome);
          else resolve(outcome);
        },
      });
      this.#pending.add(pending);
      pending.requestSlot(this.#slots);
    });
  }

  /** Rejects all requests with `closed` and closes their connections. */
  close(): void {
    // In reverse: the last requests are waiting, and a returned slot must not start them.
    for (const pending of [...this.#pending].reverse()) pending.fail('closed');
    for (const agent of [...Object.values(this.#kept), ...Object.values(this.#fresh)]) agent.destroy();
  }
}

interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

function agents(options: ConstructorParameters<typeof HttpAgent>[0]): Agents {
  return { http: new HttpAgent(options), https: new HttpsAgent(options) };
}

interface PendingOptions {
  readonly timeoutMs: number;
  readonly responseMaxBytes: number;
  readonly allowPrivate: boolean;
  readonly kept: Agents;
  readonly fresh: Agents;
  readonly settled: (outcome: HttpResponse | HttpRequestError) => void;
}

/**
 * One request: waiting for a slot → sent (at most twice) → settled. Its timer starts with the call and depends on no
 * socket event, so the request settles even without any event.
 */
class PendingRequest {
  readonly #request: OutboundRequest;
  readonly #options: PendingOptions;
  readonly #timer: NodeJS.Timeout;
  #slot: SlotRequest | undefined;
  #sent: ClientRequest | undefined;
  /** Status of the response in progress. */
  #status: number | undefined;
  #isSettled = false;

  constructor(request: OutboundRequest, options: PendingOptions) {
    this.#request = request;
    this.#options = options;
    this.#timer = setTimeout(() => this.fail('timeout'), options.timeoutMs);
  }

  requestSlot(slots: FairSlots): void {
    // A free slot is assigned before `request` returns, but sending needs the object that releases it.
    let isAssigned = false;
    this.#slot = slots.request(this.#request.app, () => {
      isAssigned = true;
      if (this.#slot !== undefined) this.#send(this.#options.kept);
    });
    if (this.#slot === undefined) this.fail('busy');
    else if (isAssigned) this.#send(this.#options.kept);
  }

  fail(reason: HttpFailureReason, details?: { systemCode?: string; status?: number }): void {
    this.#settle(new HttpRequestError(reason, { ...(this.#status && { status: this.#status }), ...details }));
  }

  #settle(outcome: HttpResponse | HttpRequestError): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    if (outcome instanceof HttpRequestError) this.#sent?.destroy();
    this.#slot?.release();
    this.#options.settled(outcome);
  }

  #send(agents: Agents): void {
    try {
      const { url, path, headers, body } = this.#request;
      const target = new URL(url);
      const isSecure = target.protocol === 'https:';
      if (!this.#options.allowPrivate && isPrivateLiteral(target)) {
        this.fail('private_address');
        return;
      }
      const options: RequestOptions = {
        method: body === undefined ? 'GET' : 'POST',
        ...(path !== undefined && { path }),
        agent: isSecure ? agents.https : agents.http,
        headers: {
          Accept: 'application/json',
          'Accept-Encoding': 'identity',
          'User-Agent': 'gusher',
          ...headers,
          ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }),
        },
        lookup: this.#options.allowPrivate ? lookupShared : lookupPublic,
      };
      this.#sent = isSecure ? httpsRequest(target, options) : httpRequest(target, options);
      this.#handleEvents(this.#sent, agents);
      this.#sent.end(body);
    } catch (error) {
      // `request` throws for invalid input, such as an invalid host name.
      this.fail('unreachable', detailsOf(error));
    }
  }

  #handleEvents(sent: ClientRequest, agents: Agents): void {
    let response: IncomingMessage | undefined;
    sent.once('response', (received) => {
      response = received;
      this.#receive(received);
    });
    // Attack: interim responses (1xx) without end, which keep this process busy until the timeout.
    let interimResponses = 0;
    sent.on('information', () => {
      interimResponses += 1;
      if (interimResponses > INTERIM_RESPONSES_MAX) this.fail('response_too_large');
    });
    // Without a listener Node.js closes the connection and reports neither a response nor an error.
    sent.once('upgrade', (_response, socket: Socket) => {
      socket.destroy();
      this.fail('unexpected_upgrade', { status: SWITCHING_PROTOCOLS });
    });
    const ended = (error?: Error): void => {
      // The events of the response settle the request. Bytes after a complete response are discarded.
      if (this.#isSettled || (response !== undefined && (response.complete || error === undefined))) return;
      const isStale =
        response === undefined && sent.reusedSocket && isReset(error) && agents !== this.#options.fresh;
      if (isStale) this.#send(this.#options.fresh);
      else this.fail(reasonOf(error), detailsOf(error));
    };
    // An error is followed by `close`, which must not start another attempt.
    let hasEnded = false;
    const endOnce = (error?: Error): void => {
      if (!hasEnded) ended(error);
      hasEnded = true;
    };
    sent.on('error', endOnce);
    sent.once('close', endOnce);
  }

  #receive(response: IncomingMessage): void {
    const status = response.statusCode ?? 0;
    this.#status = status;
    const coding = response.headers['content-encoding'] ?? 'identity';
    // 101 without the fields of an upgrade.
    if (status === SWITCHING_PROTOCOLS) this.fail('unexpected_upgrade');
    else if (coding.toLowerCase() !== 'identity') this.fail('encoded_response');
    if (this.#isSettled) return;
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > this.#options.responseMaxBytes) this.fail('response_too_large');
      else chunks.push(chunk);
    });
    response.once('end', () => this.#settle({ status, body: Buffer.concat(chunks, bytes) }));
    response.on('error', (error) => this.fail(reasonOf(error), detailsOf(error)));
    response.once('close', () => this.fail('connection_closed'));
  }
}

/** Decodes a body. Returns `undefined` if it is not UTF-8, because replaced bytes could make two names equal. */
export function utf8Text(body: Buffer): string | undefined {
  return isUtf8(body) ? body.toString('utf8') : undefined;
}

function reasonOf(error: Error | undefined): HttpFailureReason {
  if (error instanceof PrivateAddressError) return 'private_address';
  if (detailsOf(error).systemCode?.startsWith('HPE_')) return 'malformed_response';
  return isReset(error) ? 'connection_closed' : 'unreachable';
}

/** Also true for `close` without an error. */
function isReset(error: Error | undefined): boolean {
  const { systemCode } = detailsOf(error);
  return error === undefined || systemCode === 'ECONNRESET' || systemCode === 'EPIPE';
}

function detailsOf(error: unknown): { systemCode?: string } {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? { systemCode: code } : {};
}

class PrivateAddressError extends Error {}

/** Node connects to a literal address without a lookup. */
function isPrivateLiteral({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  return isIP(host) !== 0 && isPrivateAddress(host);
}

/**
 * Finds public addresses only. Attack: DNS rebinding. The connection itself uses this lookup, so the checked address is
 * the address that is connected to.
 */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookupShared(hostname, { ...options, all: true }, (error, addresses) => {
    const found = typeof addresses === 'string' ? [] : addresses;
    const allowed = found.filter(({ address }) => !isPrivateAddress(address));
    if (error !== null) callback(error, '');
    else if (allowed[0] === undefined) callback(new PrivateAddressError(), '');
    else if (options.all === true) callback(null, allowed);
    else callback(null, allowed[0].address, allowed[0].family);
  });
};
