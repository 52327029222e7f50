import { type Finding, ok, problem, skipped, warning } from '../finding.ts';
import type { HostFacts } from './facts.ts';

const FEW = 4_096;
const FIX = 'LimitNOFILE=1048576 in the service (systemd), or ulimit -n 1048576 before the start';

/** Checks the limits of open files: each connection takes one in its worker. */
export function checkDescriptors({ openFiles, nrOpen, fileMax }: HostFacts): Finding {
  const check = 'open files';
  if (openFiles === undefined) return skipped(check, 'this system does not reveal the limit');
  if (fileMax !== undefined && fileMax < openFiles) {
    const message = `all processes together may open ${fileMax} files, fewer than the ${openFiles} of one process`;
    return warning(check, message, 'sysctl fs.file-max=2097152');
  }
  const message = `each process that is started here may open ${openFiles} files`;
  if (openFiles < FEW / 4) return problem(check, message, FIX);
  if (openFiles < FEW) return warning(check, message, FIX);
  return ok(check, nrOpen === undefined ? message : `${message}, at most ${nrOpen} (fs.nr_open)`);
}
