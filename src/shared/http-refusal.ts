import { STATUS_CODES } from 'node:http';
import type { Refusal } from './errors.ts';
import { refusalBody } from './refusal-body.ts';

const UPGRADE_REQUIRED = 426;
const SERVICE_UNAVAILABLE = 503;
const INTERNAL = 500;

/** A refusal as a whole HTTP/1.1 response, for sockets that no HTTP server looks after. */
export function httpRefusal(refusal: Refusal): string {
  const status = refusal.http ?? INTERNAL;
  const body = refusalBody(refusal);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    // RFC 9110 §15.5.22 and RFC 6455 §4.4.
    ...(status === UPGRADE_REQUIRED
      ? ['Connection: upgrade, close', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
      : ['Connection: close']),
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(status === SERVICE_UNAVAILABLE ? ['Retry-After: 1'] : []),
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
