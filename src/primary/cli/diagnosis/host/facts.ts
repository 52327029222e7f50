import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type CgroupLimits, type ReadText, readCgroupLimits } from '../../../../shared/process/cgroup.ts';

const KIBIBYTE = 1024;

/** What the system allows this process; a fact is missing where the system does not have it. */
export interface HostFacts {
  /** Limit of open files of this process. Node.js raises the soft limit to the hard one at its start. */
  readonly openFiles?: number;
  /** Open files of all processes (`fs.file-max`). */
  readonly fileMax?: number;
  /** The highest value that a limit of open files can have (`fs.nr_open`). */
  readonly nrOpen?: number;
  readonly memoryBytes?: number;
  readonly cgroup: CgroupLimits;
  /** CPUs of the affinity mask. */
  readonly cpus: number;
  readonly somaxconn?: number;
  readonly ephemeralPorts?: { readonly first: number; readonly last: number };
  /** Connections that the firewall tracks, and their limit. */
  readonly conntrack?: { readonly count: number; readonly max: number };
  /** Memory for all TCP sockets (`net.ipv4.tcp_mem`, the highest of the three values). */
  readonly tcpMaxBytes?: number;
}

const PAGE_BYTES = 4 * KIBIBYTE;

/** Reads the facts of this machine. `read` returns the text of a file. */
export function readHostFacts(read: ReadText = readText, cpus = availableParallelism()): HostFacts {
  const numbers = (path: string): number[] => ((read(path) ?? '').match(/\d+/g) ?? []).map(Number);
  const number = (path: string): number | undefined => valid(numbers(path)[0]);
  const [, openFiles] = /^Max open files +(\d+)/m.exec(read('/proc/self/limits') ?? '') ?? [];
  const [, kibibytes] = /^MemTotal: +(\d+) kB$/m.exec(read('/proc/meminfo') ?? '') ?? [];
  const [first, last] = numbers('/proc/sys/net/ipv4/ip_local_port_range');
  const [, , tcpPages] = numbers('/proc/sys/net/ipv4/tcp_mem');
  const tracked = number('/proc/sys/net/netfilter/nf_conntrack_count');
  const trackedMax = number('/proc/sys/net/netfilter/nf_conntrack_max');
  return defined({
    openFiles: valid(Number(openFiles)),
    fileMax: number('/proc/sys/fs/file-max'),
    nrOpen: number('/proc/sys/fs/nr_open'),
    memoryBytes: valid(Number(kibibytes) * KIBIBYTE),
    cgroup: readCgroupLimits(read),
    cpus,
    somaxconn: number('/proc/sys/net/core/somaxconn'),
    ephemeralPorts: valid(first) !== undefined && valid(last) !== undefined ? { first, last } : undefined,
    conntrack:
      tracked !== undefined && trackedMax !== undefined ? { count: tracked, max: trackedMax } : undefined,
    tcpMaxBytes: valid((tcpPages ?? Number.NaN) * PAGE_BYTES),
  }) as HostFacts;
}

function valid(value: number | undefined): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

function defined(facts: object): object {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The system does not have it.
    return undefined;
  }
}
