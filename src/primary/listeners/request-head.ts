/**
 * The checks of a request head before a worker gets its socket. Heads are read as latin1 text, one character per byte.
 */

const HEAD_END = Buffer.from('\r\n\r\n');
const METHOD = /^[A-Z]{1,16}(?: |$)/;
const METHOD_MAX_LENGTH = 17;
const BARE_LINE_END = /(?<!\r)\n|\r(?!\n)/;
const SID = /^[\w-]{20}$/;

/**
 * Whether a CR or an LF stands alone. Attack: parsers differ in whether that ends a line (RFC 9112 §2.2), so one of
 * them could see a header that another does not.
 */
export function hasBareLineEnd(head: string): boolean {
  return BARE_LINE_END.test(head);
}

/** Returns false as soon as the first bytes cannot begin an HTTP request. */
export function startsLikeHttp(data: Buffer): boolean {
  const [line = ''] = data.toString('latin1', 0, METHOD_MAX_LENGTH).split(' ', 1);
  return METHOD.test(line.length < Math.min(data.length, METHOD_MAX_LENGTH) ? `${line} ` : line);
}

/** Returns the index at which the head ends, or -1. The first `searched` bytes were searched before. */
export function headEnd(data: Buffer, searched: number): number {
  return data.indexOf(HEAD_END, Math.max(0, searched - HEAD_END.length + 1));
}

/** The routing id (`sid=`) in the query of a request target, as @socket.io/sticky reads it. */
export function sidOf(target: string): string | undefined {
  const [withoutFragment = ''] = target.split('#', 1);
  const queryMark = withoutFragment.indexOf('?');
  if (queryMark < 0 || !withoutFragment.includes('sid=', queryMark)) return undefined;
  const query = withoutFragment.slice(queryMark + 1);
  const ids = query
    .split('&')
    .filter((pair) => pair.startsWith('sid='))
    .map((pair) => pair.slice('sid='.length));
  return ids.find((id) => SID.test(id));
}
