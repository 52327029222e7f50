#!/usr/bin/env node
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { version } from '../shared/version.ts';
import { appsCommand } from './cli/apps.ts';
import { exitCodeOf } from './cli/exit.ts';
import { publishCommand } from './cli/publish.ts';
import { startCommand } from './cli/start.ts';
import { subscribeCommand } from './cli/subscribe.ts';

const WIDEST = 110;

const cli = yargs(hideBin(process.argv))
  .scriptName('gusher')
  .usage('$0 <command>\n\nSelf-hosted realtime push server: WebSocket channels on every core of one host.')
  .command(startCommand)
  .command(appsCommand)
  .command(publishCommand)
  .command(subscribeCommand)
  .demandCommand(1, 'Name a command.')
  .strict()
  .version(version)
  .help()
  .wrap(Math.min(WIDEST, process.stdout.columns ?? WIDEST))
  .fail(false);

try {
  await cli.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
