import { ExitCodeError } from '../errors.ts';

/** From harmless to severe. `skipped`: the check could not run. */
export type Severity = 'ok' | 'skipped' | 'warning' | 'problem';

/** The result of one check. */
export interface Finding {
  /** What was checked, in a word or two: `settings`, `app shop`, `redis acl`. */
  readonly check: string;
  readonly severity: Severity;
  readonly message: string;
  /** What to change, with the line to write where one exists. Every warning and problem has one. */
  readonly fix?: string;
}

const PROBLEM_EXIT = 1;
const WARNING_EXIT = 3;

export function ok(check: string, message: string): Finding {
  return { check, severity: 'ok', message };
}

export function skipped(check: string, message: string): Finding {
  return { check, severity: 'skipped', message };
}

export function warning(check: string, message: string, fix: string): Finding {
  return { check, severity: 'warning', message, fix };
}

export function problem(check: string, message: string, fix: string): Finding {
  return { check, severity: 'problem', message, fix };
}

/** Counts the findings of a severity. */
export function countOf(severity: Severity, findings: readonly Finding[]): number {
  return findings.filter((finding) => finding.severity === severity).length;
}

/** Throws the exit code of findings: 1 with a problem, 3 with a warning if `strict`. Usage errors exit with 2. */
export function exitWith(findings: readonly Finding[], strict: boolean): void {
  if (countOf('problem', findings) > 0) throw new ExitCodeError(PROBLEM_EXIT);
  if (strict && countOf('warning', findings) > 0) throw new ExitCodeError(WARNING_EXIT);
}
