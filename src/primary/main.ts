#!/usr/bin/env node
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { version } from '../shared/version.ts';
import { appsCommand } from './cli/apps.ts';
import { exitCodeOf, UsageError } from './cli/exit.ts';
import { publishCommand } from './cli/publish.ts';
import { startCommand } from './cli/start.ts';
import { subscribeCommand } from './cli/subscribe.ts';
import { tokenCommand } from './cli/token.ts';

const WIDEST = 110;

const cli = yargs(hideBin(process.argv))
  .scriptName('gusher')
  .usage('$0 <command>\n\nSelf-hosted realtime push server: WebSocket channels on every core of one host.')
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
  .wrap(Math.min(WIDEST, process.stdout.columns ?? WIDEST))
  .fail((message, error?: Error) => {
    throw error === undefined || error.name === 'YError' ? new UsageError(message) : error;
  });

// The reader of a pipe may leave first, as `head` does; what is printed then is for nobody.
process.stdout.on('error', () => undefined);

try {
  await cli.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
