import cluster from 'node:cluster';
import type { CommandModule } from 'yargs';
import { SETTING_NAMES } from '../../../shared/config/settings.ts';
import { UsageError } from '../errors.ts';
import { loadSettings, settingOptions } from '../load-settings.ts';

/** `gusher start`. */
export const startCommand: CommandModule = {
  command: 'start',
  describe: 'run gusher until it is told to stop',
  builder: (yargs) =>
    yargs
      .options(settingOptions())
      .example('$0 start', 'one worker per CPU, no Redis; without any app a "demo" app on loopback')
      .example('$0 start --workers 4 --listen :8000', 'four workers, clients on port 8000')
      .example('$0 start --redis-url redis://127.0.0.1:6379', 'share channels with other hosts')
      .epilogue(
        'Every setting is also an environment variable, in brackets, and may stand in the .env file; ' +
          'docs/settings.md lists those that have no flag too.',
      ),
  handler: async (argv) => {
    if (cluster.isWorker) {
      throw new UsageError(
        'gusher forks its own workers and cannot run inside another cluster; ' +
          'start it as a single process (with PM2: exec_mode fork, instances 1)',
      );
    }
    const { settings, given, warnings } = loadSettings(argv, SETTING_NAMES);
    // Loaded here, so that the other commands start without a server's parts.
    const { runPrimary } = await import('../../primary.ts');
    process.exit(await runPrimary(settings, given, warnings));
  },
};
