import type { CommandModule } from 'yargs';
import { settingOptions } from '../load-settings.ts';
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
    const { runCheck } = await import('../diagnosis/run-check.ts');
    await runCheck(argv);
  },
};
