import type { IncomingHttpHeaders } from 'node:http';
import { listElements, parseRequestHead } from '../../shared/http/request-head.ts';

/** The parts of a request that the handshake uses. An `IncomingMessage` is one too. */
export interface UpgradeRequest {
  readonly method?: string | undefined;
  readonly httpVersion?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/** Targets in origin form. Node parses requests with all others. */
const TARGET = /^\/[\x21-\x7e]*$/;

/**
 * Parses the head of a WebSocket upgrade (latin1 text, without the empty line) at a tenth of the cost of Node's HTTP
 * parser. Returns `undefined` for everything that is not plain, and leaves it to Node: a repeated or folded field, a
 * body, a missing `Host`, another method or version (RFC 6455 §4.1).
 */
export function readUpgradeRequest(head: string): UpgradeRequest | undefined {
  const request = parseRequestHead(head);
  if (request?.method !== 'GET' || request.version !== '1.1' || !TARGET.test(request.target))
    return undefined;
  const headers: IncomingHttpHeaders = Object.create(null);
  for (let index = 0; index < request.fields.length; index += 2) {
    const name = request.fields[index]?.toLowerCase() ?? '';
    if (name in headers) return undefined;
    headers[name] = request.fields[index + 1];
  }
  if (!isPlainUpgrade(headers)) return undefined;
  return { method: 'GET', httpVersion: '1.1', url: request.target, headers };
}

function isPlainUpgrade(headers: IncomingHttpHeaders): boolean {
  return (
    headers.host !== undefined &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    listElements(headers.connection?.toLowerCase() ?? '').includes('upgrade') &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    headers.expect === undefined
  );
}
