import { BlockList, isIP, isIPv4 } from 'node:net';

/**
 * Networks that belong to the machine, the site or nobody (RFC 6890 and its registries). Attack: an app whose
 * webhook names something that only this machine can reach, such as a cloud's metadata service.
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

/** Of the IPv6 space only 2000::/3 is given to the public internet; these are parts of it that are not. */
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

/** 6to4 and NAT64 carry an IPv4 address inside; it may lead where the outer one does not. */
const tunnels = new BlockList();
tunnels.addSubnet('2002::', 16, 'ipv6');

/** Whether an IP address is one that the public internet does not have; whatever is no address counts as such. */
export function isPrivateAddress(address: string): boolean {
  if (isIP(address) === 0) return true;
  if (isIPv4(address)) return privateNetworks.check(address, 'ipv4');
  const isPublic = publicIpv6.check(address, 'ipv6') && !tunnels.check(address, 'ipv6');
  return !isPublic || privateNetworks.check(address, 'ipv6');
}
