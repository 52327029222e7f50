import cluster from 'node:cluster';
import type { CommandModule } from 'yargs';
import { SETTING_NAMES } from '../../../shared/config/settings.ts';
import { UsageError } from '../errors.ts';
import { loadSettings, settingOptions } from '../load-settings.ts';

/** `gusher start`: runs the server until a signal stops it. */
export const startCommand: CommandModule = {
  command: 'start',
  describe: 'start the server and run until SIGTERM or SIGINT',
  builder: (yargs) =>
    yargs
      .options(settingOptions())
      .example('$0 start', 'one worker per CPU, no Redis; without apps, a "demo" app on loopback')
      .example('$0 start --workers 4 --listen :8000', 'four workers, clients on port 8000')
      .example('$0 start --redis-url redis://127.0.0.1:6379', 'share channels with other hosts')
      .epilogue(
        'Each setting is also an environment variable (in brackets), which the .env file may contain. ' +
          'docs/settings.md lists all settings, including those without a flag.',
      ),
  handler: async (argv) => {
    if (cluster.isWorker) {
      throw new UsageError(
        'gusher forks its own workers and cannot run inside another cluster; ' +
          'start it as a single process (with PM2: exec_mode fork, instances 1)',
      );
    }
    const { settings, given, warnings } = loadSettings(argv, SETTING_NAMES);
    // Imported here, because the other commands do not need the server.
    const { runPrimary } = await import('../../primary.ts');
    process.exit(await runPrimary(settings, given, warnings));
  },
};
