import type { CommandModule } from 'yargs';
import { DEMO_APP } from '../../../shared/apps/app.ts';
import { settingOptions } from '../load-settings.ts';
import { reportOptions, textOption } from '../options.ts';

/** `gusher doctor`: finds what keeps gusher from serving clients on this machine. */
export const doctorCommand: CommandModule = {
  command: 'doctor',
  describe: 'examine this machine, Redis, backends and the proxy; compute the connection ceiling',
  builder: (yargs) =>
    yargs
      .option('url', textOption('ws:// or wss:// URL of clients: examine the proxy there'))
      .option('app', textOption('app key for the connect to --url', { default: DEMO_APP.key }))
      .option('auth', textOption('credential for the auth webhook of the app'))
      .option('token', textOption('token (JWT) instead of --auth'))
      .option(
        'silence',
        textOption('seconds of silence at --url; 0 skips; default: heartbeat interval and 5'),
      )
      .options(reportOptions())
      .options(settingOptions())
      .example('$0 doctor', 'this machine, Redis and the backends of apps')
      .example('$0 doctor --url wss://push.example.com --app shop --auth s3cr3t', 'the proxy as well')
      .example('$0 doctor --json | jq .ceiling', 'the connections that this machine can hold')
      .epilogue(
        'Changes nothing: it calls each auth webhook with the credential "gusher-doctor", and writes keys to Redis that ' +
          'expire after 5 s. Exit code: 0 without a problem, 1 with a problem, 2 for a wrong command line, 3 for ' +
          'warnings with --strict.',
      ),
  handler: async (argv) => {
    // Imported here, like the code of `check`: `gusher start` must not load it.
    const { runDoctor } = await import('../diagnosis/run-doctor.ts');
    await runDoctor(argv);
  },
};
