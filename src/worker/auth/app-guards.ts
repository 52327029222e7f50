import type { IncomingHttpHeaders } from 'node:http';
import type { App } from '../../shared/apps/app.ts';
import { GusherError } from '../../shared/errors/catalogue.ts';
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

/** Attack: a proxy on this machine brings strangers to a port that was meant for this machine alone. */
function isForwarded(headers: IncomingHttpHeaders): boolean {
  return Object.keys(headers).some(
    (name) =>
      name === 'forwarded' || name === 'via' || name === 'x-real-ip' || name.startsWith('x-forwarded-'),
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
  // RFC 7239 §4: the parameters of the last element.
  return lastOf(headers.forwarded)
    .split(';')
    .some((pair) => /^\s*proto="?(?:https|wss)"?\s*$/.test(pair));
}

function lastOf(value: string | string[] | undefined): string {
  const text = String(value ?? '');
  return text
    .slice(text.lastIndexOf(',') + 1)
    .trim()
    .toLowerCase();
}
