import type { IncomingMessage } from 'node:http';
import { GusherError } from '../../../shared/errors/catalogue.ts';
import { isLoopbackName } from '../../../shared/net/address.ts';

/** What a browser says of a request that no page of another site has caused (Fetch Metadata). */
const OWN_SITES: ReadonlySet<string> = new Set(['same-origin', 'none']);

/**
 * Refuses a request that a web page may have caused: `foreign_host` or `foreign_origin`. Attack: loopback is no
 * authentication, since the browser on the same machine reaches it too. A page can send requests to it, and by DNS
 * rebinding (its own name, which suddenly means 127.0.0.1) also read the answers; only the Host field shows that.
 */
export function requireLocal({ headers }: Pick<IncomingMessage, 'headers'>): void {
  const host = headers.host ?? '';
  if (!isLoopbackName(host)) throw new GusherError('foreign_host');
  const { origin, 'sec-fetch-site': site } = headers;
  const isOwnOrigin = origin === undefined || origin.toLowerCase() === `http://${host.toLowerCase()}`;
  const isOwnSite = site === undefined || OWN_SITES.has(String(site));
  if (!isOwnOrigin || !isOwnSite) throw new GusherError('foreign_origin');
}
