import type { IncomingHttpHeaders } from 'node:http';

/** What letting a client in has to know of its request. An `IncomingMessage` is one too. */
export interface UpgradeRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

const LINE_END = '\r\n';
/** RFC 9112 §3, of the one method and version that RFC 6455 §4.1 asks for. */
const REQUEST_LINE = /^GET (\/[\x21-\x7e]*) HTTP\/1\.1$/;
/** RFC 9110 §5.1: a token. */
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 §5.5: visible characters, obsolete text, and white space between them. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const UPGRADE_OPTION = /(?:^|,)[ \t]*upgrade[ \t]*(?:,|$)/i;

/**
 * Reads the head of a WebSocket upgrade (latin1 text, without the empty line), at a tenth of the cost of a whole
 * HTTP parser. It reads only what is plain: `undefined` for whatever else, a repeated or folded field, a body, no
 * `Host`, another method or version, which is then left to Node's own parser to judge.
 */
export function readUpgradeRequest(head: string): UpgradeRequest | undefined {
  const [requestLine = '', ...lines] = head.split(LINE_END);
  const url = REQUEST_LINE.exec(requestLine)?.[1];
  if (url === undefined) return undefined;
  const headers: IncomingHttpHeaders = Object.create(null);
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    const value = line.slice(colon + 1);
    if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(value) || name in headers) return undefined;
    headers[name] = withoutSpaceAround(value);
  }
  return isPlainUpgrade(headers) ? { method: 'GET', url, headers } : undefined;
}

/** `trim` would take the no-break space of Latin-1 too, and a regular expression a square of the time. */
function withoutSpaceAround(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isSpace(value.charCodeAt(start))) start += 1;
  while (end > start && isSpace(value.charCodeAt(end - 1))) end -= 1;
  return value.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function isPlainUpgrade(headers: IncomingHttpHeaders): boolean {
  return (
    headers.host !== undefined &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    UPGRADE_OPTION.test(headers.connection ?? '') &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    headers.expect === undefined
  );
}
