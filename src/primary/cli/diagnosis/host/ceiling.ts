import { type Finding, ok, warning } from '../finding.ts';
import type { HostFacts } from './facts.ts';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

/**
 * Memory of one idle connection with one subscription. The processes take 3.5 to 5.9 KB (docs/performance.md, "Connections",
 * measured with `npm run bench -- --only connections`), the kernel 4.5 KB for its end of the socket.
 */
const CONNECTION_BYTES = 11 * KIBIBYTE;
/**
 * Memory of a primary or worker without clients: 33 to 41 MB, measured as `Pss` of /proc/{pid}/smaps_rollup with two workers on
 * Node.js 20.20. All processes share the other 42 MB of their resident memory.
 */
const PROCESS_BYTES = 48 * MEBIBYTE;
/** Descriptors of a process besides its clients: files, pipes, Redis, the API. */
const RESERVED_FILES = 64;
/** The part of a limit that other programs of the machine may need. */
const OTHERS_FRACTION = 0.1;
/** An idle socket takes no page; one that sends or receives takes one at least. */
const SOCKET_PAGE_BYTES = 4 * KIBIBYTE;

/** A limit, the connections that it allows, and the line that raises it. */
export interface Limit {
  readonly name: string;
  readonly connections: number;
  readonly change: string;
}

/** Returns the limits of this machine, the lowest first: the first one is the ceiling. */
export function connectionLimits(facts: HostFacts, workers: number): Limit[] {
  const limits: Limit[] = [];
  const add = (name: string, connections: number, change: string): void =>
    void limits.push({ name, connections: Math.max(0, Math.floor(connections)), change });
  const { openFiles, fileMax, memoryBytes, cgroup, conntrack, tcpMaxBytes } = facts;
  if (openFiles !== undefined) {
    add(
      'open files of each worker',
      workers * (openFiles - RESERVED_FILES),
      'LimitNOFILE=1048576 in the service (systemd), or ulimit -n',
    );
  }
  if (fileMax !== undefined) {
    add('open files of all processes', fileMax * (1 - OTHERS_FRACTION), 'sysctl fs.file-max=2097152');
  }
  if (memoryBytes !== undefined) {
    add('memory of the machine', clientsIn(memoryBytes, workers), 'more memory');
  }
  if (cgroup.memoryMaxBytes !== undefined) {
    const change = 'MemoryMax= in the service (systemd), or the memory limit of the container';
    add('memory limit of the control group', clientsIn(cgroup.memoryMaxBytes, workers), change);
  }
  if (tcpMaxBytes !== undefined) {
    add('memory for TCP', tcpMaxBytes / SOCKET_PAGE_BYTES, 'sysctl net.ipv4.tcp_mem, the third value');
  }
  if (conntrack !== undefined) {
    add(
      'connections that the firewall tracks',
      conntrack.max * (1 - OTHERS_FRACTION),
      'sysctl net.netfilter.nf_conntrack_max=1048576',
    );
  }
  return limits.sort((one, other) => one.connections - other.connections);
}

function clientsIn(bytes: number, workers: number): number {
  return (bytes * (1 - OTHERS_FRACTION) - (workers + 1) * PROCESS_BYTES) / CONNECTION_BYTES;
}

/** A ceiling below this is nearly always a default that was not changed. */
const LOW_CEILING = 10_000;

/** Names the ceiling and what binds it. */
export function checkCeiling([lowest]: readonly Limit[]): Finding {
  const check = 'ceiling';
  if (lowest === undefined) return ok(check, 'this system does not reveal its limits');
  const message = `about ${lowest.connections.toLocaleString('en')} idle connections; the limit is: ${lowest.name}`;
  if (lowest.connections < LOW_CEILING) return warning(check, message, `Raise it: ${lowest.change}`);
  return ok(check, `${message} (to raise it: ${lowest.change})`);
}
