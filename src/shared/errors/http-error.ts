import { STATUS_CODES } from 'node:http';
import type { ErrorEntry } from './catalogue.ts';

/** The methods that some resource of gusher answers. */
export const KNOWN_METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

const METHOD_NOT_ALLOWED = 405;
const UPGRADE_REQUIRED = 426;
const SERVICE_UNAVAILABLE = 503;
const INTERNAL = 500;

/** The status by which an error is told over HTTP. */
export function errorStatus({ http }: ErrorEntry): number {
  return http ?? INTERNAL;
}

/** What the status of an error asks of its response, besides a body. */
export function errorHeaders({ http }: ErrorEntry): Record<string, string> {
  switch (http) {
    case UPGRADE_REQUIRED:
      // RFC 9110 §15.5.22 and RFC 6455 §4.4.
      return { Connection: 'upgrade, close', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' };
    case SERVICE_UNAVAILABLE:
      return { 'Retry-After': '1' };
    default:
      return {};
  }
}

/** Returns the JSON body by which an error is sent over HTTP. */
export type ErrorBody = (error: ErrorEntry) => string;

/** An error as a whole HTTP/1.1 response, for sockets that no HTTP server looks after. */
export function httpErrorResponse(error: ErrorEntry, bodyOf: ErrorBody = errorBody): string {
  const status = errorStatus(error);
  const body = bodyOf(error);
  const headers = {
    Connection: 'close',
    ...errorHeaders(error),
    // RFC 9110 §15.5.6. No resource is known here, so these are the methods that any resource answers.
    ...(status === METHOD_NOT_ALLOWED && { Allow: KNOWN_METHODS.join(', ') }),
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** The JSON body by which an error is told over HTTP, on either port. */
export function errorBody({ code, message, index }: ErrorEntry): string {
  return JSON.stringify({ error: { code, message, index } });
}

/** The JSON body of an error of the Pusher HTTP API: SDKs show `error` as it is. */
function pusherErrorBody({ code, message, index }: ErrorEntry): string {
  return JSON.stringify({ error: message, code, index });
}

/**
 * The form that errors have at a path. `prefix` is the path that may stand before `/apps` (Pusher). Both ports and both
 * processes use it, so that one path has one form.
 */
export function errorBodyAt(path: string, prefix: string): ErrorBody {
  const isPusherApi = path.startsWith('/apps/') || (prefix !== '' && path.startsWith(`${prefix}/apps/`));
  return isPusherApi ? pusherErrorBody : errorBody;
}
