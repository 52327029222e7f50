import { createHash } from 'node:crypto';
import { isSameText, isSignature } from '../../../shared/crypto/signature.ts';
import { GusherError, quoted } from '../../../shared/errors/catalogue.ts';
import { percentDecode } from '../../../shared/net/percent-encoding.ts';

/**
 * The signed query of the Pusher HTTP API: `auth_key`, `auth_timestamp`, `auth_version`, `body_md5` and
 * `auth_signature`, an HMAC over method, path and all other parameters. The signature covers the body only by its MD5, so
 * an invalid request is rejected before its body is read.
 */

/** Tolerance for the clock of the sender. Bounds the time in which an intercepted request can be replayed. */
const CLOCK_TOLERANCE_S = 600;
const VERSION = '1.0';
/** The only parameter for which SDKs accept an array. */
const LIST = 'info';

/** The signed parts of a request, as received. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  /** A path that may precede `/apps`. The signed path may include it or not (`path` option of SDKs). */
  readonly pathPrefix: string;
  readonly nowMs: number;
}

/** Parameters by lower-case name. Repeated ones, and lists such as `name[]`, are joined by commas. */
export type Query = ReadonlyMap<string, string>;

/**
 * Verifies the signature and returns the query as it was signed. Throws `bad_auth_key`, `bad_auth_version`,
 * `stale_auth_timestamp` or `bad_signature`.
 */
export function verifySignedQuery(
  request: SignedRequest,
  credentials: { key: string; secret: string },
): Query {
  const [first, ...others] = queryInterpretations(request.target);
  const detail = clockProblem(first.query.get('auth_timestamp') ?? '', request.nowMs);
  if (!isSameText(first.query.get('auth_key') ?? '', credentials.key)) {
    throw new GusherError('bad_auth_key', { detail });
  }
  if (first.query.get('auth_version') !== VERSION) throw new GusherError('bad_auth_version', { detail });
  if (detail !== undefined) throw new GusherError('stale_auth_timestamp', { detail });
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

/** Throws `bad_body_md5` unless the body has the signed MD5, over its raw bytes. */
export function verifyBodyMd5(query: Query, body: Buffer): void {
  const claimed = query.get('body_md5');
  if (claimed === undefined && body.length === 0) return;
  const actual = createHash('md5').update(body).digest('hex');
  if (!isSameText(claimed ?? '', actual)) throw new GusherError('bad_body_md5');
}

/** Returns a sentence about an invalid timestamp; `undefined` if the timestamp is valid. */
function clockProblem(timestamp: string, nowMs: number): string | undefined {
  if (!/^\d{1,15}$/.test(timestamp)) return 'auth_timestamp must be the Unix time in seconds.';
  const skewS = Math.round(Number(timestamp) - nowMs / 1_000);
  if (Math.abs(Number(timestamp) - nowMs / 1_000) <= CLOCK_TOLERANCE_S) return undefined;
  const isMs = Math.abs(Number(timestamp) - nowMs) <= CLOCK_TOLERANCE_S * 1_000;
  if (isMs) return 'auth_timestamp is in milliseconds; send seconds.';
  const direction = skewS < 0 ? 'behind' : 'ahead of';
  return `auth_timestamp is ${Math.abs(skewS)} seconds ${direction} this server; correct the clock of the sender.`;
}

/** Returns the paths that an SDK may have signed: with or without the prefix, encoded or not. */
function pathsOf({ target, pathPrefix }: SignedRequest): string[] {
  const path = target.split('?', 1)[0] ?? '';
  const bare = path.startsWith(`${pathPrefix}/apps/`) ? path.slice(pathPrefix.length) : path;
  return [...new Set([path, bare, pathPrefix + bare, decode(bare), decode(pathPrefix + bare)])];
}

/** One interpretation of a query: its parameters, and the texts that an SDK may have signed for them. */
interface Interpretation {
  readonly query: Query;
  readonly texts: readonly string[];
}

/** Returns the interpretations of a query: an SDK may have used `+` for itself or for a space. */
function queryInterpretations(target: string): [Interpretation, ...Interpretation[]] {
  const mark = target.indexOf('?');
  const text = mark < 0 ? '' : target.slice(mark + 1);
  const literal = interpretQuery(text);
  return text.includes('+') ? [literal, interpretQuery(text.replaceAll('+', ' '))] : [literal];
}

interface Parameter {
  /** The name in lower case, with its brackets. */
  readonly literal: string;
  /** Without `[]` or `[0]`. */
  readonly name: string;
  readonly value: string;
}

/**
 * Returns one interpretation. SDKs sign lists in different ways: PHP and Node join the values by commas; Ruby signs
 * `info[]=a&info[]=b`, sorted by the name without brackets; Go and others sign each parameter as sent. Every text contains
 * every parameter: whichever text was signed, the query means the same, and no parameter can be added.
 */
function interpretQuery(text: string): Interpretation {
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
  if (query.has(LIST)) texts.push(signedText(signed.map(asArray), 'name'));
  return { query, texts: [...new Set(texts)] };
}

/** The Ruby SDK signs an array as `info[]=a&info[]=b` and sends it as `info=a&info=b`. */
function asArray(parameter: Parameter): Parameter {
  return parameter.name === LIST ? { ...parameter, literal: `${LIST}[]` } : parameter;
}

/** Joins `name=value` of each parameter, decoded, in a stable order by name. */
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

/** Decodes a text. Some SDKs send an unencoded percent sign, which stays as it is. */
function decode(text: string): string {
  return percentDecode(text) ?? text;
}
