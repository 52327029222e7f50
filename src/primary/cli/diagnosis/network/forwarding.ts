import { isIn, parseNetworks, plainAddress } from '../../../../shared/net/client-address.ts';
import { type Finding, ok, skipped, warning } from '../finding.ts';

/** What arrived at gusher with a connect through the proxy. */
export interface Forwarding {
  /** The other end of the socket: the proxy. */
  readonly address: string;
  /** Whether a header names the address of the client. */
  readonly hasClient: boolean;
  /** Whether a header names the scheme. */
  readonly hasScheme: boolean;
}

/** Checks the headers. `undefined`: they could not be read. */
export function checkForwarding(forwarding: Forwarding | undefined, trustedProxies: string): Finding[] {
  const check = 'proxy headers';
  if (forwarding === undefined) {
    return [skipped(check, 'no client connected, or the API of that gusher is not reachable from here')];
  }
  const { hasClient, hasScheme } = forwarding;
  const address = plainAddress(forwarding.address);
  if (!hasClient) {
    const message = `the connect came from ${address} without X-Forwarded-For: with a proxy, all clients share one address`;
    return [warning(check, message, 'nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;')];
  }
  const isTrusted = isIn(parseNetworks(trustedProxies), address);
  const client = isTrusted
    ? ok(check, `X-Forwarded-For arrives from the trusted proxy ${address}`)
    : warning(
        check,
        `X-Forwarded-For from ${address} is ignored, because that proxy is not trusted`,
        `GUSHER_TRUSTED_PROXIES=${address}`,
      );
  if (hasScheme) return [client];
  const message = 'X-Forwarded-Proto is missing, so apps with tls_only reject every client';
  return [client, warning(check, message, 'nginx: proxy_set_header X-Forwarded-Proto $scheme;')];
}
