/**
 * What the public listener has to know of a request before its head is whole, and of its target. Heads are read as
 * latin1 text, one character per byte.
 */

const HEAD_END = Buffer.from('\r\n\r\n');
const METHOD = /^[A-Z]{1,16}(?: |$)/;
const LONGEST_METHOD = 17;
const BARE_LINE_END = /(?<!\r)\n|\r(?!\n)/;
const SID = /^[\w-]{20}$/;

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

/** The routing id (`sid=`) in the query of a request target, as @socket.io/sticky reads it. */
export function sidOf(target: string): string | undefined {
  const [whole = ''] = target.split('#', 1);
  const mark = whole.indexOf('?');
  if (mark < 0 || !whole.includes('sid=', mark)) return undefined;
  const query = whole.slice(mark + 1);
  const ids = query
    .split('&')
    .filter((pair) => pair.startsWith('sid='))
    .map((pair) => pair.slice('sid='.length));
  return ids.find((id) => SID.test(id));
}
