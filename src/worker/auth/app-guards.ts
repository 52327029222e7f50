import type { IncomingHttpHeaders } from 'node:http';
import type { App } from '../../shared/apps/app.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import { listElements } from '../../shared/http/request-head.ts';
import { isLoopbackName } from '../../shared/net/address.ts';
import { OriginList } from '../../shared/net/origin.ts';

/** Made once for each app record that is read, and forgotten with it. */
const originLists = new WeakMap<readonly string[], OriginList>();

/**
 * The guards of an app that a request alone can fail: they hold for the clients of every protocol. Throws a
 * `GusherError`: `app_disabled`, `demo_is_local`, `origin_refused` or `tls_only`. `max_connections` is kept by `ConnectionQuota`.
 */
export function requireAdmissible(app: App, headers: IncomingHttpHeaders): void {
  if (!app.enabled) throw new GusherError('app_disabled');
  if (app.isDemo === true && isForwarded(headers)) throw new GusherError('demo_is_local');
  if (!isOriginAllowed(app, headers.origin)) throw new GusherError('origin_refused');
  if (app.tls_only === true && !isForwardedTls(headers)) throw new GusherError('tls_only');
}

/** What proxies and content delivery networks add to the requests that they forward. */
const PROXY_FIELDS: ReadonlySet<string> = new Set([
  'forwarded',
  'via',
  'cdn-loop',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'fly-client-ip',
  'x-azure-clientip',
]);
const PROXY_FIELD_PREFIXES = ['x-forwarded', 'x-original-forwarded', 'x-envoy-'];

/**
 * Attack: a proxy on this machine brings strangers to a port that was meant for this machine alone. A proxy that adds
 * no field of its own often passes on the name that the client used.
 */
function isForwarded(headers: IncomingHttpHeaders): boolean {
  if (!isLoopbackName(headers.host ?? '')) return true;
  return Object.keys(headers).some(
    (name) => PROXY_FIELDS.has(name) || PROXY_FIELD_PREFIXES.some((prefix) => name.startsWith(prefix)),
  );
}

/**
 * The list is against pages of others in a browser, which always sends its origin. Another program can send what it
 * likes, and may as well send nothing.
 */
function isOriginAllowed({ origins }: App, origin: string | undefined): boolean {
  if (origins === undefined || origins.length === 0 || origin === undefined) return true;
  const list = originLists.get(origins) ?? new OriginList(origins);
  originLists.set(origins, list);
  return list.allows(origin);
}

/** As the proxy says that ends TLS; the nearest one, where there are several. This port itself is plain. */
function isForwardedTls(headers: IncomingHttpHeaders): boolean {
  const protocol = lastOf(headers['x-forwarded-proto']);
  if (protocol !== '') return protocol === 'https' || protocol === 'wss';
  // RFC 7239 §4: the parameters of the last element. Quoted strings may have separators in them.
  const element = listElements(headers.forwarded ?? '').at(-1) ?? '';
  return listElements(element.toLowerCase(), ';').some((pair) => /^proto="?(?:https|wss)"?$/.test(pair));
}

function lastOf(value: string | string[] | undefined): string {
  const text = String(value ?? '');
  return text
    .slice(text.lastIndexOf(',') + 1)
    .trim()
    .toLowerCase();
}
