import { createHash } from 'node:crypto';
import { isSameText, isSignature } from '../../../shared/crypto/signature.ts';
import { GusherError, quoted } from '../../../shared/errors/catalogue.ts';

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
export function verifySignedQuery(
  request: SignedRequest,
  credentials: { key: string; secret: string },
): Query {
  const [first, ...others] = queryInterpretations(request.target);
  const skew = skewOf(first.query.get('auth_timestamp') ?? '', request.nowMs);
  const detail = skew;
  if (!isSameText(first.query.get('auth_key') ?? '', credentials.key)) {
    throw new GusherError('bad_auth_key', { detail });
  }
  if (first.query.get('auth_version') !== VERSION) throw new GusherError('bad_auth_version', { detail });
  if (skew !== undefined) throw new GusherError('stale_auth_timestamp', { detail });
  const claimed = first.query.get('auth_signature') ?? '';
  const paths = pathsOf(request);
  const isSigned = (text: string): boolean =>
    paths.some((path) => isSignature(claimed, credentials.secret, `${request.method}\n${path}\n${text}`));
  const signed = [first, ...others].find(({ texts }) => texts.some(isSigned));
  if (signed !== undefined) return signed.query;
  const expected = `${request.method}\n${paths[0]}\n${first.texts[0]}`;
  throw new GusherError('bad_signature', {
    detail: `Sign with HMAC SHA-256, as lower-case hex: ${quoted(expected)}`,
  });
}

/** Refuses a body that is not the one that was signed, by the MD5 over its raw bytes. */
export function verifyBodyMd5(query: Query, body: Buffer): void {
  const claimed = query.get('body_md5');
  if (claimed === undefined && body.length === 0) return;
  const actual = createHash('md5').update(body).digest('hex');
  if (!isSameText(claimed ?? '', actual)) throw new GusherError('bad_body_md5');
}

/** What is wrong with the timestamp of a request, as a sentence for its sender; `undefined` if nothing is. */
function skewOf(timestamp: string, nowMs: number): string | undefined {
  if (!/^\d{1,15}$/.test(timestamp)) return 'auth_timestamp must be the Unix time in seconds.';
  const skewS = Math.round(Number(timestamp) - nowMs / 1_000);
  if (Math.abs(Number(timestamp) - nowMs / 1_000) <= CLOCK_TOLERANCE_S) return undefined;
  const isMs = Math.abs(Number(timestamp) - nowMs) <= CLOCK_TOLERANCE_S * 1_000;
  if (isMs) return 'auth_timestamp is in milliseconds; send seconds.';
  const direction = skewS < 0 ? 'behind' : 'ahead of';
  return `auth_timestamp is ${Math.abs(skewS)} seconds ${direction} this server; correct the clock of the sender.`;
}

/** The paths that an SDK may have signed: with or without the prefix, encoded or not. */
function pathsOf({ target, pathPrefix }: SignedRequest): string[] {
  const path = target.split('?', 1)[0] ?? '';
  const bare = path.startsWith(`${pathPrefix}/apps/`) ? path.slice(pathPrefix.length) : path;
  return [...new Set([path, bare, pathPrefix + bare, decode(bare), decode(pathPrefix + bare)])];
}

/** One meaning of a query: its parameters, and the texts that an SDK may have signed for them. */
interface Reading {
  readonly query: Query;
  readonly texts: readonly string[];
}

/** The meanings that a query may have had for the SDK: it let `+` stand for itself, or for a space. */
function queryInterpretations(target: string): [Reading, ...Reading[]] {
  const mark = target.indexOf('?');
  const text = mark < 0 ? '' : target.slice(mark + 1);
  const literal = readQuery(text);
  return text.includes('+') ? [literal, readQuery(text.replaceAll('+', ' '))] : [literal];
}

interface Parameter {
  /** In lower case, with the brackets that it came with. */
  readonly literal: string;
  /** Without `[]` or `[0]`. */
  readonly name: string;
  readonly value: string;
}

/**
 * SDKs sign a list in different ways: PHP and Node join its values by commas; Ruby signs `info[]=a&info[]=b`, sorted by the
 * name without brackets; Go and others sign each parameter as it was sent. All texts name the same parameters, so whichever
 * was signed, the query means the same. Each parameter is part of each text: nothing can be added to a signed request.
 */
function readQuery(text: string): Reading {
  const parameters = parametersOf(text);
  const query = new Map<string, string>();
  for (const { name, value } of parameters) {
    const present = query.get(name);
    query.set(name, present === undefined ? value : `${present},${value}`);
  }
  const signed = parameters.filter(({ name }) => name !== 'auth_signature');
  const joined = [...query].filter(([name]) => name !== 'auth_signature');
  const texts = [
    signedText(
      joined.map(([name, value]) => ({ literal: name, name, value })),
      'name',
    ),
  ];
  if (signed.some(({ literal }) => literal.endsWith(']')) || signed.length !== joined.length) {
    texts.push(signedText(signed, 'name'), signedText(signed, 'literal'));
  }
  return { query, texts: [...new Set(texts)] };
}

/** `name=value` of each parameter, not encoded, sorted by name; of equal names in their order. */
function signedText(parameters: readonly Parameter[], by: 'name' | 'literal'): string {
  const sorted = parameters.toSorted((one, other) =>
    one[by] < other[by] ? -1 : one[by] > other[by] ? 1 : 0,
  );
  return sorted.map(({ literal, value }) => `${literal}=${value}`).join('&');
}

function parametersOf(text: string): Parameter[] {
  const pairs = text.split('&').filter((pair) => pair !== '');
  return pairs.map((pair) => {
    const at = pair.indexOf('=');
    const literal = decode(at < 0 ? pair : pair.slice(0, at)).toLowerCase();
    return {
      literal,
      name: literal.replace(/\[\d*\]$/, ''),
      value: at < 0 ? '' : decode(pair.slice(at + 1)),
    };
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that stands for itself, as SDKs that do not encode send it.
    return text;
  }
}
