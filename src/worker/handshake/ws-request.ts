import type { IncomingHttpHeaders } from 'node:http';
import { listElements } from '../../shared/http/request-head.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

const EXTENSION = 'permessage-deflate';
const WINDOW_BITS = /^(?:[89]|1[0-5])$/;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Adapts a request to ws, which fails the handshake for fields that a server must ignore or decline: other protocols in
 * `Upgrade`, empty elements of `Sec-WebSocket-Protocol` (RFC 9110 §5.6.1.2), and offers of permessage-deflate with
 * unknown parameters (RFC 7692 §5.1).
 */
export function requestForWs(request: UpgradeRequest): UpgradeRequest {
  const {
    upgrade,
    'sec-websocket-protocol': protocols,
    'sec-websocket-extensions': extensions,
  } = request.headers;
  const changes: IncomingHttpHeaders = {};
  if (upgrade?.toLowerCase() !== 'websocket') changes.upgrade = 'websocket';
  if (protocols !== undefined) changes['sec-websocket-protocol'] = optional(listElements(protocols));
  if (extensions !== undefined) changes['sec-websocket-extensions'] = acceptableOffers(extensions);
  const { method, url } = request;
  return { method, url, headers: { ...request.headers, ...changes } };
}

/** `undefined` for an empty list, so that the field is absent. */
function optional(elements: readonly string[]): string | undefined {
  return elements.length === 0 ? undefined : elements.join(', ');
}

/** Keeps a field that violates the grammar of RFC 6455 §9.1: the handshake must fail. */
function acceptableOffers(field: string): string | undefined {
  const offers = listElements(field).map((offer) => listElements(offer, ';'));
  const isGrammatical = offers.flat().every((part) => TOKEN.test(part.split('=', 1)[0]?.trim() ?? ''));
  if (!isGrammatical) return field;
  return optional(offers.filter(isAcceptable).map((offer) => offer.join('; ')));
}

/** RFC 7692 §7.1. A server window of 8 bits is declined, because zlib does not support it. */
function isAcceptable([name, ...parameters]: readonly string[]): boolean {
  if (name?.toLowerCase() !== EXTENSION) return false;
  const seen = new Set<string>();
  return parameters.every((parameter) => {
    const [key = '', quoted] = splitParameter(parameter);
    if (seen.has(key)) return false;
    seen.add(key);
    switch (key) {
      case 'server_no_context_takeover':
      case 'client_no_context_takeover':
        return quoted === undefined;
      case 'client_max_window_bits':
        return quoted === undefined || WINDOW_BITS.test(quoted);
      case 'server_max_window_bits':
        return quoted !== undefined && WINDOW_BITS.test(quoted) && quoted !== '8';
      default:
        return false;
    }
  });
}

function splitParameter(parameter: string): [key: string, value: string | undefined] {
  const at = parameter.indexOf('=');
  if (at < 0) return [parameter, undefined];
  const value = parameter.slice(at + 1).trim();
  const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  return [parameter.slice(0, at).trim(), isQuoted ? value.slice(1, -1) : value];
}
