import { BlockList, isIP, isIPv4 } from 'node:net';

const FIELD = /^(?:x-forwarded-for|forwarded)[ \t]*:/i;
/** RFC 7239 §4: `for=192.0.2.1`, `for="[2001:db8::1]:4711"`. */
const FOR_PARAMETER = /^for="?(\[[0-9a-f:.]+\]|[0-9.]+)(?::\d{1,5})?"?$/i;
const IPV6_GROUPS_OF_NETWORK = 4;

/** Parses comma-separated networks in CIDR notation. Throws an `Error` that states what is expected. */
export function parseNetworks(list: string): BlockList {
  const networks = new BlockList();
  for (const entry of list
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '')) {
    const [address = '', length] = entry.split('/');
    const family = isIP(address);
    const most = family === 4 ? 32 : 128;
    const prefix = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
    if (family === 0 || !(prefix <= most))
      throw new Error('must be comma-separated addresses or networks such as 10.0.0.0/8');
    networks.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  }
  return networks;
}

/**
 * Returns the address of the client: that of the socket, or behind trusted proxies the rightmost untrusted address in
 * `X-Forwarded-For`, else in `Forwarded`. Attack: an untrusted peer that sends these headers; they are ignored.
 */
export function clientAddress(remote: string, head: string, trusted: BlockList): string {
  let address = plainAddress(remote);
  if (!isIn(trusted, address)) return address;
  const hops = hopsOf(head);
  for (let index = hops.length - 1; index >= 0 && isIn(trusted, address); index -= 1) {
    const hop = plainAddress(hops[index] ?? '');
    if (isIP(hop) === 0) break;
    address = hop;
  }
  return address;
}

export function isIn(networks: BlockList, address: string): boolean {
  return networks.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

/** Returns what counts as one client: an IPv4 address, or an IPv6 /64, of which one host may use every address. */
export function addressGroup(address: string): string {
  if (isIPv4(address)) return address;
  const [front = '', back] = address.split('%')[0]?.split('::') ?? [];
  const first = front.split(':').filter((group) => group !== '');
  const last = back?.split(':').filter((group) => group !== '') ?? [];
  const zeros =
    back === undefined ? [] : Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => '0');
  const groups = [...first, ...zeros, ...last].slice(0, IPV6_GROUPS_OF_NETWORK);
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}

/** Converts an IPv4-mapped IPv6 address to IPv4. */
export function plainAddress(address: string): string {
  return /^::ffff:[0-9.]+$/i.test(address) ? address.slice('::ffff:'.length) : address;
}

/** Returns the hops in order. `X-Forwarded-For` wins over `Forwarded`, because common proxies set it. */
function hopsOf(head: string): string[] {
  const lines = head.split('\r\n').filter((line) => FIELD.test(line));
  const isForwardedFor = lines.some((line) => /^x/i.test(line));
  const values = lines
    .filter((line) => /^x/i.test(line) === isForwardedFor)
    .flatMap((line) => line.slice(line.indexOf(':') + 1).split(','));
  return values.map((value) => (isForwardedFor ? hopOf(value.trim()) : forwardedHop(value)));
}

function forwardedHop(element: string): string {
  for (const pair of element.split(';')) {
    const hop = FOR_PARAMETER.exec(pair.trim())?.[1];
    if (hop !== undefined) return hop.replace(/[[\]]/g, '');
  }
  return '';
}

/** Removes the port that some proxies add. */
function hopOf(value: string): string {
  return /^\[([0-9a-f:.]+)\]/i.exec(value)?.[1] ?? /^([0-9.]+):\d{1,5}$/.exec(value)?.[1] ?? value;
}
