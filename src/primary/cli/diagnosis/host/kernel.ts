import { type Finding, ok, skipped, warning } from '../finding.ts';
import type { HostFacts } from './facts.ts';

/** The queue that gusher asks for; the kernel cuts it to somaxconn. */
const BACKLOG = 4_096;
/** Behind one proxy address, each connection takes one port of the proxy. */
const FEW_PORTS = 20_000;
const FULL_FRACTION = 0.8;
const TCP_FEW_BYTES = 128 * 1024 * 1024;

/** Checks the queue of connections that wait for `accept`. */
export function checkBacklog({ somaxconn }: HostFacts): Finding {
  const check = 'somaxconn';
  if (somaxconn === undefined) return skipped(check, 'this system does not reveal it');
  if (somaxconn >= BACKLOG) return ok(check, `${somaxconn} connects can wait to be accepted`);
  const message = `only ${somaxconn} connects can wait to be accepted: a burst of reconnects is delayed by seconds`;
  return warning(check, message, `sysctl net.core.somaxconn=${BACKLOG}`);
}

/** Checks the ports of a proxy on this machine: they bound its connections to gusher. */
export function checkPorts({ ephemeralPorts }: HostFacts): Finding {
  const check = 'ephemeral ports';
  if (ephemeralPorts === undefined) return skipped(check, 'this system does not reveal them');
  const ports = ephemeralPorts.last - ephemeralPorts.first + 1;
  const message = `a proxy on this machine can hold ${ports} connections to one address of gusher`;
  if (ports >= FEW_PORTS) return ok(check, `${message}; for more, let it use several addresses`);
  return warning(check, message, 'sysctl net.ipv4.ip_local_port_range="10240 65535"');
}

/** Checks the table of tracked connections, where the firewall has one. */
export function checkConntrack({ conntrack }: HostFacts): Finding {
  const check = 'conntrack';
  if (conntrack === undefined) return skipped(check, 'the firewall tracks no connections here');
  const { count, max } = conntrack;
  const message = `the firewall tracks ${count} of at most ${max} connections`;
  if (count < max * FULL_FRACTION) return ok(check, message);
  return warning(
    check,
    `${message}; beyond it drops packets`,
    'sysctl net.netfilter.nf_conntrack_max=1048576',
  );
}

/** Checks the memory for TCP buffers. */
export function checkTcpMemory({ tcpMaxBytes }: HostFacts): Finding {
  const check = 'tcp_mem';
  if (tcpMaxBytes === undefined) return skipped(check, 'this system does not reveal it');
  const message = `the kernel gives all TCP sockets ${Math.round(tcpMaxBytes / 1024 / 1024)} MB`;
  if (tcpMaxBytes >= TCP_FEW_BYTES) return ok(check, message);
  const fix = 'sysctl net.ipv4.tcp_mem="65536 131072 262144" (pages of 4 KB)';
  return warning(check, `${message}; beyond it drops data of slow clients`, fix);
}
