import { isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';

/** The `Origin` of pages with an opaque origin (RFC 6454 §7.3). */
const OPAQUE = 'null';
// Controls and lone surrogates are excluded, because the URL parser removes or replaces them.
const FORM = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^\s\p{Cc}\p{Cs}/?#@\\]*)$/u;
const HOST_AND_PORT = /^(\[[0-9a-f:.*]*\]|[^:[\]]*)(?::(\d{1,5}))?$/;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };
const HIGHEST_PORT = 65_535;
/** RFC 1123 labels, plus `_`, which exists in practice, and the wildcard `*`. */
const HOST_CHARACTERS = /^[a-z0-9_.*-]+$/;

interface OriginParts {
  readonly scheme: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
}

/** An entry of the origin list of an app, in the form that browsers send. */
interface Entry {
  readonly text: string;
  /** `undefined`: any port of the host. */
  readonly port: number | undefined;
  readonly scheme: string | undefined;
  readonly host: string;
}

/**
 * Normalizes an entry to the form that browsers send: lower case, Punycode, the short form of IPv6, no default port.
 * Returns `undefined` if no browser can send an origin that matches it. Accepts `null`, `scheme://host`,
 * `scheme://host:port`, `host` and `host:port`; in a host `*` matches one or more characters.
 */
export function normalOrigin(entry: string): string | undefined {
  return parseEntry(entry)?.text;
}

/** Matches the `Origin` of requests. Created once per list, because parsing costs more than matching. */
export class OriginList {
  readonly #entries: readonly Entry[];
  readonly #isOpaqueAllowed: boolean;

  constructor(list: readonly string[]) {
    this.#entries = list.map(parseEntry).filter((entry) => entry !== undefined);
    this.#isOpaqueAllowed = this.#entries.some(({ text }) => text === OPAQUE || text === '*');
  }

  allows(origin: string): boolean {
    const text = origin.toLowerCase();
    if (text === OPAQUE) return this.#isOpaqueAllowed;
    const parts = partsOf(text);
    if (parts?.scheme === undefined) return false;
    return this.#entries.some((entry) => fits(entry, parts, text));
  }
}

function fits(entry: Entry, { scheme, host, port }: OriginParts, text: string): boolean {
  if (entry.text === '*') return true;
  if (entry.text === OPAQUE || scheme === undefined) return false;
  const defaultPort = DEFAULT_PORTS[scheme];
  if (entry.scheme !== undefined) {
    if (entry.scheme !== scheme) return false;
    if (defaultPort === undefined)
      return entry.text.includes('*') ? matches(entry.text, text) : entry.text === text;
    return (entry.port ?? defaultPort) === (port ?? defaultPort) && matches(entry.host, host);
  }
  // A host without a scheme matches only web pages; apps and extensions need their scheme.
  if (defaultPort === undefined) return false;
  return (entry.port === undefined || entry.port === (port ?? defaultPort)) && matches(entry.host, host);
}

function parseEntry(entry: string): Entry | undefined {
  const text = entry.toLowerCase();
  if (text === OPAQUE || text === '*') return { text, scheme: undefined, host: text, port: undefined };
  const parts = partsOf(isIPv6(text) ? `[${text}]` : text);
  if (parts === undefined) return undefined;
  const { scheme, host, port } = parts;
  const isDefault = scheme !== undefined && DEFAULT_PORTS[scheme] === port;
  const shownPort = port === undefined || isDefault ? '' : `:${port}`;
  return { ...parts, text: `${scheme === undefined ? '' : `${scheme}://`}${host}${shownPort}` };
}

/** Returns `undefined` if the text, in lower case, is neither an origin nor a host. */
function partsOf(text: string): OriginParts | undefined {
  const [, scheme, authority = ''] = FORM.exec(text) ?? [];
  const [, name, digits] = HOST_AND_PORT.exec(authority) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  if (name === undefined || (port !== undefined && (port > HIGHEST_PORT || port === 0))) return undefined;
  const isOfWeb = scheme === undefined || scheme in DEFAULT_PORTS;
  // `file://` has no host; hosts of apps and extensions stay unchanged.
  if (!isOfWeb) return { scheme, host: name, port };
  const host = hostOf(name);
  return host === undefined ? undefined : { scheme, host, port };
}

/** Returns the host of an http or https origin as URLs serialize it. */
function hostOf(name: string): string | undefined {
  if (name.startsWith('[')) {
    if (!isIPv6(name.slice(1, -1))) return undefined;
    return new URL(`http://${name}`).hostname;
  }
  if (name.includes('*')) {
    const labels = name.split('.').map((label) => (label.includes('*') ? label : domainToASCII(label)));
    const host = labels.join('.');
    return HOST_CHARACTERS.test(host) && !labels.slice(0, -1).includes('') ? host : undefined;
  }
  if (name === '' || !URL.canParse(`http://${name}`)) return undefined;
  const host = new URL(`http://${name}`).hostname;
  return HOST_CHARACTERS.test(host) ? host : undefined;
}

/** Matches like grants: `*` means one or more characters. Takes linear time, without backtracking. */
function matches(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return pattern === text;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  const last = rest.pop() ?? '';
  for (const part of rest) {
    const found = text.indexOf(part, at + 1);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at < text.length - last.length && text.endsWith(last);
}
