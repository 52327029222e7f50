import { usableCpus } from '../../../../shared/process/cgroup.ts';
import { type Finding, ok, problem, skipped, warning } from '../finding.ts';
import type { HostFacts } from './facts.ts';

const MEBIBYTE = 1024 * 1024;
/** A primary and a worker without clients, and room for their heaps. */
const PROCESS_BYTES = 128 * MEBIBYTE;

/** Compares CPUs, affinity and quota with the number of workers. */
export function checkCpus({ cpus, cgroup }: HostFacts, workers: number): Finding {
  const check = 'cpu';
  const usable = usableCpus(cpus, cgroup);
  const quota = cgroup.cpus === undefined ? '' : `, quota ${cgroup.cpus} CPUs`;
  const message = `${cpus} CPUs${quota}, ${workers} workers`;
  if (workers <= usable) return ok(check, message);
  return warning(
    check,
    `${message}: more workers than CPUs compete for them`,
    `GUSHER_WORKERS=${usable}, or remove it`,
  );
}

/** Checks the memory that the processes of gusher may use. */
export function checkMemory({ memoryBytes, cgroup }: HostFacts, workers: number): Finding {
  const check = 'memory';
  const bytes = Math.min(
    memoryBytes ?? Number.POSITIVE_INFINITY,
    cgroup.memoryMaxBytes ?? Number.POSITIVE_INFINITY,
  );
  if (!Number.isFinite(bytes)) return skipped(check, 'this system does not reveal it');
  const isLimited = bytes === cgroup.memoryMaxBytes;
  const message = `${Math.round(bytes / MEBIBYTE)} MB${isLimited ? ' (limit of the control group)' : ''} for 1 primary and ${workers} workers`;
  const needed = (workers + 1) * PROCESS_BYTES;
  if (bytes >= needed) return ok(check, message);
  const fix = `Give it ${Math.round(needed / MEBIBYTE)} MB (MemoryMax=), or set GUSHER_WORKERS=1.`;
  return problem(check, `${message}: the system ends processes that need more`, fix);
}
