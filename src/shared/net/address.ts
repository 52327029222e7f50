import { isIPv6 } from 'node:net';

/**
 * A TCP listening address: `:8000`, `127.0.0.1:8001`, `[::1]:8000`, `localhost:0`. Without a host it means every
 * interface; with port 0 the system chooses the port.
 */
export interface Address {
  readonly host: string | undefined;
  readonly port: number;
}

const HIGHEST_PORT = 65_535;
const FORM = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]*)):(\d{1,5})$/;

/** Parses an address. Throws an `Error` that states what is expected. */
export function parseAddress(text: string): Address {
  const match = FORM.exec(text);
  const port = Number(match?.[3]);
  const ipv6 = match?.[1];
  if (match === null || port > HIGHEST_PORT || (ipv6 !== undefined && !isIPv6(ipv6))) {
    throw new Error('must be host:port, [ipv6]:port or :port, with a port from 0 to 65535');
  }
  return { host: ipv6 ?? (match[2] || undefined), port };
}

/** Formats the address as an operator types it. */
export function formatAddress({ host, port }: Address): string {
  if (host === undefined) return `:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True if only programs on this machine can reach the address. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || (host !== undefined && /^127(\.\d{1,3}){3}$/.test(host));
}

/** True if the value of a `Host` field names this machine: `localhost`, `127.0.0.1:8000`, `[::1]`. */
export function isLoopbackName(field: string): boolean {
  const end = field.startsWith('[') ? field.indexOf(']') : field.search(/:|$/);
  const name = field.slice(field.startsWith('[') ? 1 : 0, end).toLowerCase();
  return isLoopback({ host: name.endsWith('.') ? name.slice(0, -1) : name, port: 0 });
}

/** True if the address means every interface of this machine. */
export function isEveryInterface({ host }: Address): boolean {
  return host === undefined || host === '0.0.0.0' || host === '::';
}

/** Returns host and port for URLs of programs on this machine. */
export function reachableFromHere(address: Address): string {
  return formatAddress(isEveryInterface(address) ? { ...address, host: '127.0.0.1' } : address);
}
