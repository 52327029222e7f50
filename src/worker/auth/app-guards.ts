import type { IncomingHttpHeaders } from 'node:http';
import type { App } from '../../shared/apps/app.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
import { listElements } from '../../shared/http/request-head.ts';
import { isLoopbackName } from '../../shared/net/address.ts';
import { OriginList } from '../../shared/net/origin.ts';

/** The origin list of each app record, garbage-collected with the record. */
const originLists = new WeakMap<readonly string[], OriginList>();

/**
 * Checks the rules of an app that depend on the request alone, for clients of every protocol. Throws `app_disabled`,
 * `demo_is_local`, `origin_rejected` or `tls_only`. `ConnectionQuota` enforces `max_connections`.
 */
export function requireAdmissible(app: App, headers: IncomingHttpHeaders): void {
  if (!app.enabled) throw new GusherError('app_disabled');
  if (app.isDemo === true && isForwarded(headers)) throw new GusherError('demo_is_local');
  if (!isOriginAllowed(app, headers.origin)) throw new GusherError('origin_rejected');
  if (app.tls_only === true && !isForwardedTls(headers)) throw new GusherError('tls_only');
}

/** Header fields that proxies and content delivery networks add to forwarded requests. */
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
 * Returns true if a proxy forwarded the request. Attack: a proxy on this machine forwards remote clients to a port for
 * local clients. A proxy that adds no header field often forwards the client's Host field.
 */
function isForwarded(headers: IncomingHttpHeaders): boolean {
  if (!isLoopbackName(headers.host ?? '')) return true;
  return Object.keys(headers).some(
    (name) => PROXY_FIELDS.has(name) || PROXY_FIELD_PREFIXES.some((prefix) => name.startsWith(prefix)),
  );
}

/**
 * The list rejects pages of other sites: a browser always sends `Origin`. Other programs can send any origin, so a request
 * without one is accepted.
 */
function isOriginAllowed({ origins }: App, origin: string | undefined): boolean {
  if (origins === undefined || origins.length === 0 || origin === undefined) return true;
  const list = originLists.get(origins) ?? new OriginList(origins);
  originLists.set(origins, list);
  return list.allows(origin);
}

/** Returns true if the nearest proxy reports TLS. This port itself has no TLS. */
function isForwardedTls(headers: IncomingHttpHeaders): boolean {
  const protocol = lastElement(headers['x-forwarded-proto']);
  if (protocol !== '') return protocol === 'https' || protocol === 'wss';
  // RFC 7239 §4: the parameters of the last element. Quoted strings may contain separators.
  const element = listElements(headers.forwarded ?? '').at(-1) ?? '';
  return listElements(element.toLowerCase(), ';').some((pair) => /^proto="?(?:https|wss)"?$/.test(pair));
}

function lastElement(value: string | string[] | undefined): string {
  const text = String(value ?? '');
  return text
    .slice(text.lastIndexOf(',') + 1)
    .trim()
    .toLowerCase();
}
