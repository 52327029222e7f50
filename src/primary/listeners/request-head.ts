/**
 * What the front door has to know of an HTTP/1.1 request head (RFC 9112), and no more: a worker parses it
 * whole. Heads are read as latin1 text, one character per byte.
 */

const HEAD_END = Buffer.from('\r\n\r\n');
const METHOD = /^[A-Z]{1,16}(?: |$)/;
const LONGEST_METHOD = 17;
/** As @socket.io/sticky reads it, but in the request target alone. */
const SID = /^[^\r\n ]* [^\r\n ]*[?&]sid=([\w-]{20})(?:[&# ]|$)/;
const PATH = /^[^\r\n ]* ([^\r\n ?#]*)/;
const CONTENT_LENGTH = /\r\ncontent-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n|$)/gi;
const TRANSFER_ENCODING = /\r\ntransfer-encoding[ \t]*:/i;
const BARE_LINE_END = /(?<!\r)\n|\r(?!\n)/;
const BODY = /\r\n(?:content-length[ \t]*:(?!\s*0+\s*(?:\r\n|$))|transfer-encoding[ \t]*:)/i;

/**
 * Whether a CR or an LF stands alone. Attack: parsers differ in whether that ends a line (RFC 9112 §2.2), so a
 * header could be there for one and not for the other.
 */
export function hasBareLineEnd(head: string): boolean {
  return BARE_LINE_END.test(head);
}

/** False as soon as the first bytes cannot be those of an HTTP request. */
export function startsLikeHttp(data: Buffer): boolean {
  const [line = ''] = data.toString('latin1', 0, LONGEST_METHOD).split(' ', 1);
  return METHOD.test(line.length < Math.min(data.length, LONGEST_METHOD) ? `${line} ` : line);
}

/** Where the head ends; -1 if it has not yet. `searched` bytes were looked through before. */
export function headEnd(data: Buffer, searched: number): number {
  return data.indexOf(HEAD_END, Math.max(0, searched - HEAD_END.length + 1));
}

export function methodOf(head: string): string {
  return head.slice(0, head.indexOf(' '));
}

/** Whether a body follows the head (RFC 9112 §6.3). */
export function bodyIsAnnounced(head: string): boolean {
  return BODY.test(head);
}

/** The path that the request is for, as it was sent: without the query, not decoded. */
export function pathOf(head: string): string {
  return PATH.exec(head)?.[1] ?? '';
}

/**
 * How long the body is that follows the head, in bytes. `undefined` if that is not told by one plain
 * `Content-Length`.
 */
export function bodyLength(head: string): number | undefined {
  if (TRANSFER_ENCODING.test(head)) return undefined;
  const lengths = [...head.matchAll(CONTENT_LENGTH)];
  if (lengths.length === 0) return 0;
  const [, length = ''] = lengths[0] ?? [];
  return lengths.length === 1 && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

export function sidOf(head: string): string | undefined {
  return SID.exec(head)?.[1];
}
