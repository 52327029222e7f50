import type { CommandModule } from 'yargs';
import { SETTING_NAMES } from '../../../shared/config/settings.ts';
import { checkApps } from '../diagnosis/apps.ts';
import { exitWith, type Finding } from '../diagnosis/finding.ts';
import { printReport } from '../diagnosis/report.ts';
import { checkSettings } from '../diagnosis/settings.ts';
import { readSettings, settingOptions } from '../load-settings.ts';
import { reportOptions } from '../options.ts';

/** `gusher check`: checks settings, apps and keys without starting anything. */
export const checkCommand: CommandModule = {
  command: 'check',
  describe: 'check settings, apps and keys; start nothing',
  builder: (yargs) =>
    yargs
      .options(settingOptions())
      .options(reportOptions())
      .example('$0 check', 'the settings and apps that "gusher start" would use here')
      .example('$0 check --env-file production.env --json', 'another file, for a script')
      .epilogue(
        'Reads the apps file, or the apps in Redis. Exit code: 0 without a problem, 1 with a problem, ' +
          '2 for a wrong command line, 3 for warnings with --strict.',
      ),
  handler: async (argv) => {
    const resolution = readSettings(argv, SETTING_NAMES);
    const findings: Finding[] = [...checkSettings(resolution)];
    if (resolution.kind === 'valid') findings.push(...(await checkApps(resolution.settings)));
    printReport(findings, argv.json === true);
    exitWith(findings, argv.strict === true);
  },
};
