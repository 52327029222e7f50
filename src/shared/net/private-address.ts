import { BlockList, isIP, isIPv4 } from 'node:net';

/**
 * Networks that are not part of the public internet (RFC 6890 and its registries). Attack: an app whose webhook URL
 * names a service that only this machine can reach, such as the metadata service of a cloud.
 */
const PRIVATE_IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];

/** The parts of 2000::/3 that are not public; the rest of the IPv6 space is not public either. */
const PRIVATE_IPV6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
];

const privateNetworks = new BlockList();
for (const [network, bits] of PRIVATE_IPV4) privateNetworks.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of PRIVATE_IPV6) privateNetworks.addSubnet(network, bits, 'ipv6');

const publicIpv6 = new BlockList();
publicIpv6.addSubnet('2000::', 3, 'ipv6');

/** 6to4 addresses contain an IPv4 address, which may be private. */
const tunnels = new BlockList();
tunnels.addSubnet('2002::', 16, 'ipv6');

/** True unless the text is a public IP address. */
export function isPrivateAddress(address: string): boolean {
  if (isIP(address) === 0) return true;
  if (isIPv4(address)) return privateNetworks.check(address, 'ipv4');
  const isPublic = publicIpv6.check(address, 'ipv6') && !tunnels.check(address, 'ipv6');
  return !isPublic || privateNetworks.check(address, 'ipv6');
}
