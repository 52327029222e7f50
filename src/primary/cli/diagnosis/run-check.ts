import { SETTING_NAMES } from '../../../shared/config/settings.ts';
import { readSettings } from '../load-settings.ts';
import type { Arguments } from '../options.ts';
import { checkApps } from './apps.ts';
import { exitWith } from './finding.ts';
import { printReport } from './report.ts';
import { checkSettings } from './settings.ts';

/** Checks and prints what the command line asks for. Rejects with the exit code. */
export async function runCheck(argv: Arguments): Promise<void> {
  const resolution = readSettings(argv, SETTING_NAMES);
  const findings = checkSettings(resolution);
  if (resolution.kind === 'valid') findings.push(...(await checkApps(resolution.settings)));
  printReport(findings, argv.json === true);
  exitWith(findings, argv.strict === true);
}
