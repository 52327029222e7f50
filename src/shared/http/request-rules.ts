import { GusherError } from '../errors/catalogue.ts';
import { listElements, type RequestHead, valuesOf } from './request-head.ts';

/** Limits of every request of a connection, on both ports. */
export interface RequestLimits {
  /** Largest announced body. */
  readonly bodyMaxBytes: number;
  /** Methods whose requests must not have a body. */
  readonly bodiless: ReadonlySet<string>;
}

/** The public port accepts no body of these methods: nothing there reads one. */
export const BODILESS_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Attack: thousands of short fields in a small head. Node drops the fields beyond 1,000 without an error. */
const FIELDS_MAX = 200;
const BODY_LENGTH = /^\d{1,15}$/;
/** RFC 3986 §3.2.2, and the port. User information is not allowed (RFC 9110 §4.2.4). */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::\d{0,5})?$/;
const ABSOLUTE = /^https?:\/\/([^/?#]+)/i;

/**
 * Returns the error of a request, or `undefined`. Attack: request smuggling. A proxy before gusher may read a head in
 * another way than gusher does, so ambiguous requests are rejected.
 */
export function requestError(head: RequestHead, limits: RequestLimits): GusherError | undefined {
  if (head.fields.length > FIELDS_MAX * 2) {
    return new GusherError('headers_too_large', { detail: `The limit is ${FIELDS_MAX} fields.` });
  }
  if (head.version !== '1.1' && head.version !== '1.0') return new GusherError('bad_request');
  const error = bodyError(head, limits);
  if (error !== undefined || (isTarget(head) && hasOneHost(head))) return error;
  return new GusherError('bad_request');
}

/** RFC 9112 §6.3. A body is framed by one `Content-Length` or by `Transfer-Encoding: chunked`, never by both. */
function bodyError(head: RequestHead, { bodyMaxBytes, bodiless }: RequestLimits): GusherError | undefined {
  const encodings = valuesOf(head, 'transfer-encoding');
  const lengths = valuesOf(head, 'content-length');
  if (encodings.length + lengths.length === 0) return undefined;
  const [encoding] = encodings;
  const [length = '0'] = lengths;
  if (encodings.length + lengths.length > 1 || !BODY_LENGTH.test(length)) {
    return new GusherError('bad_request');
  }
  const isChunked = encoding?.toLowerCase() === 'chunked' && head.version === '1.1';
  if (encoding !== undefined && !isChunked) return new GusherError('bad_request');
  if (bodiless.has(head.method) && (isChunked || Number(length) > 0)) {
    return new GusherError('body_not_allowed');
  }
  return Number(length) > bodyMaxBytes ? bodyTooLarge(bodyMaxBytes) : undefined;
}

/** The error of a body beyond `GUSHER_BODY_MAX_BYTES`. */
function bodyTooLarge(maxBytes: number): GusherError {
  return new GusherError('body_too_large', {
    detail: `The limit is ${maxBytes} bytes (GUSHER_BODY_MAX_BYTES).`,
  });
}

/** RFC 9112 §3.2. */
function hasOneHost(head: RequestHead): boolean {
  const hosts = valuesOf(head, 'host');
  if (hosts.length === 0) return head.version === '1.0';
  return hosts.length === 1 && HOST.test(hosts[0] ?? '');
}

function isTarget({ method, target }: RequestHead): boolean {
  if (target === '*') return method === 'OPTIONS';
  return target.startsWith('/') || HOST.test(ABSOLUTE.exec(target)?.[1] ?? ' ');
}

/**
 * Path and query of a target, and the authority if the target is in absolute form: it then counts instead of the Host
 * field (RFC 9112 §3.2.2).
 */
export function splitTarget(target: string): { target: string; authority: string | undefined } {
  const [start, authority] = ABSOLUTE.exec(target) ?? [];
  if (start === undefined) return { target, authority: undefined };
  const rest = target.slice(start.length);
  return { target: rest.startsWith('/') ? rest : `/${rest}`, authority };
}

/** The path of a target in origin form, as it was sent: without the query, not decoded. */
export function pathOf(target: string): string {
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
}

/**
 * Whether a client asks to speak WebSocket (RFC 6455 §4.2.1). A server ignores an `Upgrade` to another protocol, and
 * any `Upgrade` of HTTP/1.0 (RFC 9110 §7.8). A list that also names other protocols counts if the client has sent a
 * key for the handshake.
 */
export function asksForWebSocket(request: {
  readonly httpVersion?: string | undefined;
  readonly headers: {
    readonly upgrade?: string | undefined;
    readonly 'sec-websocket-key'?: string | undefined;
  };
}): boolean {
  const { upgrade = '', 'sec-websocket-key': key } = request.headers;
  if (request.httpVersion !== '1.1') return false;
  if (upgrade.toLowerCase() === 'websocket') return true;
  return key !== undefined && listElements(upgrade.toLowerCase()).includes('websocket');
}
