/**
 * A TCP listening address as people write it: `:8000`, `127.0.0.1:8001`, `[::1]:8000`, `localhost:0`.
 * No host means every interface; port 0 lets the system choose.
 */
export interface Address {
  readonly host: string | undefined;
  readonly port: number;
}

const FORM = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]*)):(\d{1,5})$/;

/** Reads an address; throws an `Error` whose message says what was expected. */
export function parseAddress(text: string): Address {
  const match = FORM.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new Error('must be host:port, [ipv6]:port or :port, with a port from 0 to 65535');
  }
  return { host: match[1] ?? (match[2] || undefined), port };
}

/** The address as it would be typed. */
export function formatAddress({ host, port }: Address): string {
  if (host === undefined) return `:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True if only programs on this machine can reach the address. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || (host !== undefined && /^127(\.\d{1,3}){3}$/.test(host));
}

/** Host and port by which a program on this machine reaches the address, fit for a URL. */
export function reachableFromHere({ host, port }: Address): string {
  const everyInterface = host === undefined || host === '0.0.0.0' || host === '::';
  return formatAddress({ host: everyInterface ? '127.0.0.1' : host, port });
}
