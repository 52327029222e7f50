import yargs from 'yargs';
import { version } from '../../shared/version.ts';
import { appsCommand } from './commands/apps.ts';
import { publishCommand } from './commands/publish.ts';
import { startCommand } from './commands/start.ts';
import { subscribeCommand } from './commands/subscribe.ts';
import { tokenCommand } from './commands/token.ts';
import { exitCodeOf, UsageError } from './errors.ts';

const WIDEST = 110;

/** Does what the words of a command line say, and answers the exit code. `start` ends the process itself. */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  try {
    await commandLine(words).parseAsync();
    return 0;
  } catch (error) {
    return exitCodeOf(error);
  }
}

function commandLine(words: readonly string[]) {
  return (
    yargs(words)
      .scriptName('gusher')
      .usage(
        '$0 <command>\n\nSelf-hosted realtime push server: WebSocket channels on every core of one host.',
      )
      .command(startCommand)
      .command(appsCommand)
      .command(publishCommand)
      .command(subscribeCommand)
      .command(tokenCommand)
      .example('$0 start', 'serve clients; with nothing configured there is an app "demo" for a try')
      .example('$0 subscribe news', 'in a second terminal: print what is published to "news"')
      .example(`$0 publish news hello '{"text":"it works"}'`, 'in a third: publish to it')
      .epilogue('Each command tells its own options and examples: gusher start --help')
      .demandCommand(1, 'Name a command.')
      .strict()
      .parserConfiguration({
        // Values are passed on as they were typed.
        'parse-numbers': false,
        'parse-positional-numbers': false,
        'dot-notation': false,
        'camel-case-expansion': false,
        'boolean-negation': false,
      })
      .version(version)
      .help()
      // Help and version are answers as others are.
      .exitProcess(false)
      .wrap(Math.min(WIDEST, process.stdout.columns ?? WIDEST))
      .fail((message, error?: Error) => {
        throw error === undefined || error.name === 'YError' ? new UsageError(message) : error;
      })
  );
}
