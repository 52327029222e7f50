import { STATUS_CODES } from 'node:http';
import type { ErrorEntry } from './catalogue.ts';

/** Methods that at least one resource of gusher supports. */
export const KNOWN_METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

const METHOD_NOT_ALLOWED = 405;
const UPGRADE_REQUIRED = 426;
const TOO_MANY_REQUESTS = 429;
const SERVICE_UNAVAILABLE = 503;
const INTERNAL = 500;

/** Returns the HTTP status of an error. */
export function errorStatus({ http }: ErrorEntry): number {
  return http ?? INTERNAL;
}

/** Returns the headers that the status requires. */
export function errorHeaders({ http }: ErrorEntry): Record<string, string> {
  switch (http) {
    case UPGRADE_REQUIRED:
      // RFC 9110 §15.5.22 and RFC 6455 §4.4.
      return { Connection: 'upgrade, close', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' };
    case TOO_MANY_REQUESTS:
    case SERVICE_UNAVAILABLE:
      return { 'Retry-After': '1' };
    default:
      return {};
  }
}

/** Encodes an error as the JSON body of a response. */
export type ErrorBody = (error: ErrorEntry) => string;

/** Encodes an error as a complete HTTP/1.1 response, for sockets without an HTTP server. */
export function httpErrorResponse(error: ErrorEntry, bodyOf: ErrorBody = errorBody): string {
  const status = errorStatus(error);
  const body = bodyOf(error);
  const headers = {
    Connection: 'close',
    ...errorHeaders(error),
    // RFC 9110 §15.5.6. The resource is unknown here, so all known methods are listed.
    ...(status === METHOD_NOT_ALLOWED && { Allow: KNOWN_METHODS.join(', ') }),
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** The error body of both ports. */
export function errorBody({ code, message, index }: ErrorEntry): string {
  return JSON.stringify({ error: { code, message, index } });
}

/** The error body of the Pusher HTTP API, of which SDKs show `error`. */
function pusherErrorBody({ code, message, index }: ErrorEntry): string {
  return JSON.stringify({ error: message, code, index });
}

/**
 * Returns the encoder of error bodies for a path. `prefix` may precede `/apps` (Pusher). All ports and processes use it, so
 * each path has one format.
 */
export function errorBodyAt(path: string, prefix: string): ErrorBody {
  const isPusherApi = path.startsWith('/apps/') || (prefix !== '' && path.startsWith(`${prefix}/apps/`));
  return isPusherApi ? pusherErrorBody : errorBody;
}
