import { isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';

/** What a browser says in `Origin` for a page without one (RFC 6454 §7.3): an opaque origin. */
const OPAQUE = 'null';
const FORM = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^\s/?#@\\]*)$/;
const HOST_AND_PORT = /^(\[[0-9a-f:.*]*\]|[^:[\]]*)(?::(\d{1,5}))?$/;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };
const HIGHEST_PORT = 65_535;
/** RFC 1123 labels, with `_` as it is found, and `*` for a part of them. */
const HOST_CHARACTERS = /^[a-z0-9_.*-]+$/;

interface Dependencies {
  readonly scheme: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
}

/** An entry of an app's list of origins, as browsers serialise what it matches. */
interface Entry {
  readonly text: string;
  /** `undefined`: any port of the host. */
  readonly port: number | undefined;
  readonly scheme: string | undefined;
  readonly host: string;
}

/**
 * The entry in the form that browsers send: lower case, Punycode, the short form of IPv6, no default port. `undefined`
 * if no browser can ever send an origin that it matches. Taken are `null`, `scheme://host`, `scheme://host:port`,
 * `host` and `host:port`; in a host `*` stands for one or more characters.
 */
export function normalOrigin(entry: string): string | undefined {
  return parseEntry(entry)?.text;
}

/** Whether a list admits the `Origin` of a request. Made once for a list and kept as long as the list is. */
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
    const dependencies = partsOf(text);
    if (dependencies?.scheme === undefined) return false;
    return this.#entries.some((entry) => fits(entry, dependencies, text));
  }
}

function fits(entry: Entry, { scheme, host, port }: Dependencies, text: string): boolean {
  if (entry.text === '*') return true;
  if (entry.text === OPAQUE || scheme === undefined) return false;
  const defaultPort = DEFAULT_PORTS[scheme];
  if (entry.scheme !== undefined) {
    if (entry.scheme !== scheme) return false;
    if (defaultPort === undefined)
      return entry.text.includes('*') ? matches(entry.text, text) : entry.text === text;
    return (entry.port ?? defaultPort) === (port ?? defaultPort) && matches(entry.host, host);
  }
  // A host alone means pages of the web: an app or an extension is listed with its scheme.
  if (defaultPort === undefined) return false;
  return (entry.port === undefined || entry.port === (port ?? defaultPort)) && matches(entry.host, host);
}

function parseEntry(entry: string): Entry | undefined {
  const text = entry.toLowerCase();
  if (text === OPAQUE || text === '*') return { text, scheme: undefined, host: text, port: undefined };
  const dependencies = partsOf(isIPv6(text) ? `[${text}]` : text);
  if (dependencies === undefined) return undefined;
  const { scheme, host, port } = dependencies;
  const isDefault = scheme !== undefined && DEFAULT_PORTS[scheme] === port;
  const shownPort = port === undefined || isDefault ? '' : `:${port}`;
  return { ...dependencies, text: `${scheme === undefined ? '' : `${scheme}://`}${host}${shownPort}` };
}

/** `undefined` if the text, in lower case, is no origin and no host. */
function partsOf(text: string): Dependencies | undefined {
  const [, scheme, authority = ''] = FORM.exec(text) ?? [];
  const [, name, digits] = HOST_AND_PORT.exec(authority) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  if (name === undefined || (port !== undefined && (port > HIGHEST_PORT || port === 0))) return undefined;
  const isOfWeb = scheme === undefined || scheme in DEFAULT_PORTS;
  // `file://` has no host; the schemes of apps and extensions keep theirs as it is.
  if (!isOfWeb) return { scheme, host: name, port };
  const host = hostOf(name);
  return host === undefined ? undefined : { scheme, host, port };
}

/** The host of an http or https origin as URLs serialise it. */
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

/** As grants match: `*` stands for one or more characters, and nothing is tried twice. */
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
