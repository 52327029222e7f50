import { STATUS_CODES } from 'node:http';
import type { Refusal } from './errors.ts';
import { refusalBody } from './refusal-body.ts';

const SERVICE_UNAVAILABLE = 503;
const INTERNAL = 500;

/** A refusal as a whole HTTP/1.1 response, for sockets that no HTTP server looks after. */
export function httpRefusal(refusal: Refusal): string {
  const status = refusal.http ?? INTERNAL;
  const body = refusalBody(refusal);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(status === SERVICE_UNAVAILABLE ? ['Retry-After: 1'] : []),
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
