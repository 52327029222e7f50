import { createHash } from 'node:crypto';
import { isSameText, isSignature } from '../../../shared/crypto/signature.ts';
import { RefusalError } from '../../../shared/errors/catalogue.ts';

/**
 * The signed query of the Pusher HTTP API: `auth_key`, `auth_timestamp`, `auth_version`, `body_md5` and
 * `auth_signature`, an HMAC over method, path and all other parameters. The body is covered by its MD5 alone, so
 * that a request is refused before a byte of it was read.
 */

/** How far a request's clock may be from ours: what was overheard cannot be sent again later. */
const CLOCK_TOLERANCE_S = 600;
const VERSION = '1.0';

/** What a request was signed over, as it came. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly target: string;
  /** A path that may stand before `/apps`; what was signed may have it or not (`path` option of SDKs). */
  readonly pathPrefix: string;
  readonly nowMs: number;
}

/** Parameters by lower-case name. Those that come several times, or as `name[]`, are joined by commas. */
export type Query = ReadonlyMap<string, string>;

/**
 * The query of a request, read as it was signed. Refuses what was not signed with the credentials of the app:
 * `bad_auth_key`, `bad_auth_version`, `stale_auth_timestamp`, `bad_signature`.
 */
export function verifiedQuery(request: SignedRequest, credentials: { key: string; secret: string }): Query {
  const [first, ...others] = readingsOf(request.target);
  if (!isSameText(first.get('auth_key') ?? '', credentials.key)) throw new RefusalError('bad_auth_key');
  if (first.get('auth_version') !== VERSION) throw new RefusalError('bad_auth_version');
  if (!isFresh(first.get('auth_timestamp') ?? '', request.nowMs)) {
    throw new RefusalError('stale_auth_timestamp');
  }
  const claimed = first.get('auth_signature') ?? '';
  const paths = pathsOf(request);
  const signed = [first, ...others].find((query) => {
    const rest = `\n${signedText(query)}`;
    return paths.some((path) =>
      isSignature(claimed, credentials.secret, `${request.method}\n${path}${rest}`),
    );
  });
  if (signed === undefined) throw new RefusalError('bad_signature');
  return signed;
}

/** Refuses a body that is not the one that was signed, by the MD5 over its raw bytes. */
export function mustBeSignedBody(query: Query, body: Buffer): void {
  const claimed = query.get('body_md5');
  if (claimed === undefined && body.length === 0) return;
  const actual = createHash('md5').update(body).digest('hex');
  if (!isSameText(claimed ?? '', actual)) throw new RefusalError('bad_body_md5');
}

function isFresh(timestamp: string, nowMs: number): boolean {
  if (!/^\d{1,12}$/.test(timestamp)) return false;
  return Math.abs(Number(timestamp) - nowMs / 1_000) <= CLOCK_TOLERANCE_S;
}

/** The paths that an SDK may have signed: with or without the prefix, encoded or not. */
function pathsOf({ target, pathPrefix }: SignedRequest): string[] {
  const path = target.split('?', 1)[0] ?? '';
  const bare = path.startsWith(`${pathPrefix}/apps/`) ? path.slice(pathPrefix.length) : path;
  return [...new Set([path, bare, pathPrefix + bare, decode(bare), decode(pathPrefix + bare)])];
}

/** The meanings that a query may have had for the SDK: it let `+` stand for itself, or for a space. */
function readingsOf(target: string): [Query, ...Query[]] {
  const mark = target.indexOf('?');
  const text = mark < 0 ? '' : target.slice(mark + 1);
  const literal = parseQuery(text);
  return text.includes('+') ? [literal, parseQuery(text.replaceAll('+', ' '))] : [literal];
}

/** All parameters but the signature, sorted by name, not encoded. */
function signedText(query: Query): string {
  const signed = [...query].filter(([name]) => name !== 'auth_signature');
  signed.sort(([one], [other]) => (one < other ? -1 : 1));
  return signed.map(([name, value]) => `${name}=${value}`).join('&');
}

function parseQuery(text: string): Query {
  const query = new Map<string, string>();
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const name = decode(at < 0 ? pair : pair.slice(0, at))
      .toLowerCase()
      .replace(/\[\d*\]$/, '');
    const value = at < 0 ? '' : decode(pair.slice(at + 1));
    const present = query.get(name);
    query.set(name, present === undefined ? value : `${present},${value}`);
  }
  return query;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that stands for itself, as SDKs that do not encode send it.
    return text;
  }
}
