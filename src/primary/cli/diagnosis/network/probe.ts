import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { isLoopbackName } from '../../../../shared/net/address.ts';
import { errorCodeOf } from '../../output.ts';

const TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 1_000;
const BODY_MAX_LENGTH = 64 * 1024;

/** How a connect through the proxy ended. */
export type Upgrade =
  | { readonly kind: 'open' }
  /** An HTTP response instead of an upgrade; `code` is the error of gusher, if gusher sent it. */
  | { readonly kind: 'response'; readonly status: number; readonly code: string | undefined }
  /** A system or TLS error. */
  | { readonly kind: 'failed'; readonly reason: string };

/** How the silent time ended. */
export interface Silence {
  readonly ms: number;
  readonly end: 'ping' | 'time' | 'closed';
  readonly closeCode?: number;
}

/** What a client sees at a URL. */
export interface ProxyFacts {
  readonly isTls: boolean;
  /** Whether the URL names this machine. */
  readonly isLocal: boolean;
  readonly upgrade: Upgrade;
  /** End of validity of the certificate, in ms since 1970. */
  readonly certificateEnd: number | undefined;
  /** Round trip of a message and its reply; `undefined` if no reply arrived in time. */
  readonly replyMs: number | undefined;
  /** `undefined` if it was not tested. */
  readonly silence: Silence | undefined;
  /** The clock of the server (header `Date`) minus that of this machine. */
  readonly skewMs: number | undefined;
}

export interface ProbeOptions {
  /** ws:// or wss:// with path and query. */
  readonly url: URL;
  readonly userAgent: string;
  /** How long to stay silent; 0 skips the test. */
  readonly silenceMs: number;
}

/** Connects as a client does, sends a ping of the native protocol, and stays silent. Never rejects. */
export async function probeProxy({ url, userAgent, silenceMs }: ProbeOptions): Promise<ProxyFacts> {
  const skewMs = await readSkew(url);
  const headers = { 'User-Agent': userAgent };
  const socket = new WebSocket(url, { handshakeTimeout: TIMEOUT_MS, headers });
  let certificateEnd: number | undefined;
  socket.on('upgrade', ({ socket: transport }) => {
    const { valid_to: end } = (transport as TLSSocket).getPeerCertificate?.() ?? {};
    certificateEnd = end === undefined ? undefined : Date.parse(end);
  });
  const upgrade = await upgradeOf(socket);
  const isOpen = upgrade.kind === 'open';
  const replyMs = isOpen ? await measureReply(socket) : undefined;
  const silence = isOpen && silenceMs > 0 ? await staySilent(socket, silenceMs) : undefined;
  socket.close();
  setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS).unref();
  const isTls = url.protocol === 'wss:';
  return { isTls, isLocal: isLoopbackName(url.host), upgrade, certificateEnd, replyMs, silence, skewMs };
}

function upgradeOf(socket: WebSocket): Promise<Upgrade> {
  return new Promise((resolve) => {
    socket.once('open', () => resolve({ kind: 'open' }));
    // Errors after the first one end in a close, which is awaited.
    socket.on('error', ({ code, message }: NodeJS.ErrnoException) =>
      resolve({ kind: 'failed', reason: code ?? message }),
    );
    socket.once('unexpected-response', (request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        if (body.length < BODY_MAX_LENGTH) body += chunk.toString();
      });
      response.on('close', () =>
        resolve({ kind: 'response', status: response.statusCode ?? 0, code: errorCodeOf(body) }),
      );
      setTimeout(() => request.destroy(), TIMEOUT_MS).unref();
    });
  });
}

async function measureReply(socket: WebSocket): Promise<number | undefined> {
  const sentAt = performance.now();
  const reply = new Promise<number>((resolve) => {
    socket.once('message', () => resolve(Math.round(performance.now() - sentAt)));
  });
  socket.send(JSON.stringify({ event: 'gusher.ping' }));
  return Promise.race([reply, afterMs(TIMEOUT_MS)]);
}

function staySilent(socket: WebSocket, silenceMs: number): Promise<Silence> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const end = (how: Omit<Silence, 'ms'>): void => {
      clearTimeout(timer);
      resolve({ ms: Math.round(performance.now() - startedAt), ...how });
    };
    const timer = setTimeout(() => end({ end: 'time' }), silenceMs);
    socket.once('ping', () => end({ end: 'ping' }));
    socket.once('close', (closeCode) => end({ end: 'closed', closeCode }));
  });
}

/** Compares the `Date` of a response, which has whole seconds, with this clock. */
function readSkew(url: URL): Promise<number | undefined> {
  const isTls = url.protocol === 'wss:';
  const target = `${isTls ? 'https' : 'http'}://${url.host}/healthz`;
  return new Promise((resolve) => {
    const before = Date.now();
    const send = isTls ? httpsRequest : httpRequest;
    const call = send(target, { agent: false, timeout: TIMEOUT_MS }, ({ headers }) => {
      const server = Date.parse(headers.date ?? '');
      const middle = (before + Date.now()) / 2;
      // A part of a second is cut off: on average half of one.
      resolve(Number.isNaN(server) ? undefined : Math.round(server + 500 - middle));
      call.destroy();
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(undefined));
    call.end();
  });
}

function afterMs(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms).unref();
  });
}
