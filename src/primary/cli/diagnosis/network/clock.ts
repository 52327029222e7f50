import { type Finding, ok, problem, skipped, warning } from '../finding.ts';

/** Tokens and signatures with a time are rejected long before that. */
const FAR_MS = 60_000;
/** `Date` has whole seconds. */
const EXACT_MS = 1_500;

/** Checks the difference of a clock to that of this machine: tokens and signatures contain times. */
export function checkClock(check: string, skewMs: number | undefined, toleratedMs: number): Finding {
  if (skewMs === undefined) return skipped(check, 'its time is not known');
  const size = Math.abs(skewMs);
  const message = `${(size / 1_000).toFixed(1)} s ${skewMs < 0 ? 'behind' : 'ahead of'} the clock of this machine`;
  const fix = 'Synchronize the clocks (chrony, systemd-timesyncd).';
  if (size < Math.max(EXACT_MS, toleratedMs)) return ok(check, message);
  return size < FAR_MS ? warning(check, message, fix) : problem(check, message, fix);
}
