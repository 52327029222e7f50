import { readFileSync } from 'node:fs';

/** Returns the text of a file, or `undefined` if it is not readable. */
export type ReadText = (path: string) => string | undefined;

/** What the control groups of a process allow; a field is missing without a limit. */
export interface CgroupLimits {
  /** CPUs that the process may use on average: quota divided by period. */
  readonly cpus?: number;
  /** The lowest memory limit of the process and of the groups around it. */
  readonly memoryMaxBytes?: number;
}

/** Version 1 reports "no limit" as a number near 2^63, rounded down to a page. */
const UNLIMITED_BYTES = 2 ** 62;

interface Mount {
  readonly path: string;
  /** The group that the mount shows at its top: `/` unless a container sees a part of the tree. */
  readonly root: string;
  /** The controllers of version 1; version 2 has one tree for all. */
  readonly controllers: readonly string[];
  readonly version: 1 | 2;
}

/**
 * Reads the limits of the control groups of this process: `cpu.max` and `memory.max` of version 2, `cpu.cfs_quota_us` and
 * `memory.limit_in_bytes` of version 1. A group is also bound by the groups around it, so the lowest limit counts. `read`
 * returns the text of a file.
 */
export function readCgroupLimits(read: ReadText = readText): CgroupLimits {
  const groups = groupsIn(read('/proc/self/cgroup') ?? '');
  const cpus: number[] = [];
  const bytes: number[] = [];
  for (const mount of mountsIn(read('/proc/self/mountinfo') ?? '')) {
    for (const folder of foldersOf(mount, groups)) {
      cpus.push(...cpusAt(mount, folder, read));
      bytes.push(...memoryAt(mount, folder, read));
    }
  }
  return {
    ...(cpus.length > 0 && { cpus: Math.min(...cpus) }),
    ...(bytes.length > 0 && { memoryMaxBytes: Math.min(...bytes) }),
  };
}

/**
 * Returns how many processes can run at once: the CPUs of the affinity mask (`availableParallelism`), but not more than
 * the quota, rounded down. Hazard: with one process more than the quota, the kernel stops all of them for the rest of
 * each period.
 */
export function usableCpus(parallelism: number, { cpus }: CgroupLimits): number {
  return Math.max(1, Math.min(parallelism, Math.floor(cpus ?? parallelism)));
}

/** Lines of /proc/self/cgroup: `0::/group` (version 2) or `4:cpu,cpuacct:/group`. The key is the controller. */
function groupsIn(text: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || group === undefined) continue;
    for (const controller of controllers.split(',')) groups.set(controller, group);
  }
  return groups;
}

/** Lines of /proc/self/mountinfo (proc(5)): `31 30 0:28 /root /mount/point rw - cgroup cgroup rw,cpu`. */
function mountsIn(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [place = '', kind = ''] = line.split(' - ', 2);
    const [, , , root = '/', path = ''] = place.split(' ');
    const [type, , options = ''] = kind.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    return [{ path, root, controllers: options.split(','), version: type === 'cgroup' ? 1 : 2 }];
  });
}

/** Returns the folders of the group and of all groups around it, up to the top of the mount. */
function foldersOf(
  { path, root, controllers, version }: Mount,
  groups: ReadonlyMap<string, string>,
): string[] {
  const key = version === 2 ? '' : controllers.find((controller) => groups.has(controller));
  const group = key === undefined ? undefined : groups.get(key);
  if (group === undefined) return [];
  const isBelow = root !== '/' && (group === root || group.startsWith(`${root}/`));
  // Without a namespace, a container sees its own group at the top of the mount, and a path that is not there.
  const names = (isBelow ? group.slice(root.length) : group).split('/').filter((name) => name !== '');
  return [path, ...names.map((_, index) => [path, ...names.slice(0, index + 1)].join('/'))];
}

function cpusAt({ version, controllers }: Mount, folder: string, read: ReadText): number[] {
  if (version === 1 && !controllers.includes('cpu')) return [];
  const [quota, period] =
    version === 2
      ? (read(`${folder}/cpu.max`) ?? '').trim().split(' ')
      : [read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`)];
  const cpus = Number(quota) / Number(period);
  // Without a limit, the quota is `max` (version 2) or -1.
  return Number.isFinite(cpus) && cpus > 0 ? [cpus] : [];
}

function memoryAt({ version, controllers }: Mount, folder: string, read: ReadText): number[] {
  if (version === 1 && !controllers.includes('memory')) return [];
  const text = read(`${folder}/${version === 2 ? 'memory.max' : 'memory.limit_in_bytes'}`);
  const bytes = Number(text ?? '');
  return bytes > 0 && bytes < UNLIMITED_BYTES ? [bytes] : [];
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not Linux, or no such controller.
    return undefined;
  }
}
