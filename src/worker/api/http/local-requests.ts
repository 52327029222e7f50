import type { IncomingMessage } from 'node:http';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { isLoopbackName } from '../../../shared/net/address.ts';

/** Values of Sec-Fetch-Site for requests that no page of another site caused (Fetch Metadata). */
const OWN_SITES: ReadonlySet<string> = new Set(['same-origin', 'none']);

/**
 * Throws `foreign_host` or `foreign_origin` for a request that a web page may have caused. Attack: a page in a browser on
 * this machine can send requests to loopback. By DNS rebinding (its own host name resolves to 127.0.0.1) it can also
 * read the responses; only the Host field reveals that.
 */
export function requireLocal({ headers }: Pick<IncomingMessage, 'headers'>): void {
  const host = headers.host ?? '';
  if (!isLoopbackName(host)) throw new GusherError('foreign_host');
  const { origin, 'sec-fetch-site': site } = headers;
  const isOwnOrigin = origin === undefined || origin.toLowerCase() === `http://${host.toLowerCase()}`;
  const isOwnSite = site === undefined || OWN_SITES.has(String(site));
  if (!isOwnOrigin || !isOwnSite) throw new GusherError('foreign_origin');
}
