import yargs from 'yargs';
import { version } from '../../shared/version.ts';
import { requireUtf8 } from './argument-encoding.ts';
import { appsCommand } from './commands/apps.ts';
import { benchCommand } from './commands/bench.ts';
import { checkCommand } from './commands/check.ts';
import { doctorCommand } from './commands/doctor.ts';
import { publishCommand } from './commands/publish.ts';
import { startCommand } from './commands/start.ts';
import { subscribeCommand } from './commands/subscribe.ts';
import { tailCommand } from './commands/tail.ts';
import { tokenCommand } from './commands/token.ts';
import { exitCode, UsageError } from './errors.ts';
import { nearestTo } from './suggestion.ts';

const WIDEST = 110;

/** Runs a command line and returns its exit code. `start` exits the process itself. */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  try {
    requireUtf8(words);
    await commandLine(words).parseAsync();
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) return exitCode(error);
    return exitCode(new UsageError(error.message + (await suggestionFor(error.message, words))));
  }
}

/** Suggests the most similar command or option from the help of the command. */
async function suggestionFor(message: string, words: readonly string[]): Promise<string> {
  const [, list = ''] = /^Unknown (?:argument|command)s?: (.+)$/.exec(message) ?? [];
  const names = list.split(', ');
  // With an unknown command, yargs knows none of its options.
  const name = names.find((unknown) => unknown === words[0]) ?? names[0] ?? '';
  const at = words.findIndex((word) => nameIn(word) === name);
  if (name === '' || at < 0) return '';
  const isOption = words[at]?.startsWith('-') === true;
  const help = await helpFor(words.slice(0, Math.min(at, words[0] === 'apps' ? 2 : 1)));
  const form = isOption ? /--([a-z][a-z-]+)/g : /^ {2}gusher (?:apps )?([a-z]+)/gm;
  const meant = nearestTo(
    name,
    [...help.matchAll(form)].map(([, word = '']) => word),
  );
  return meant === undefined ? '' : `; did you mean ${isOption ? '--' : ''}${meant}?`;
}

function helpFor(command: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    void commandLine([]).parse([...command, '--help'], {}, (_error, _argv, output) => resolve(output));
  });
}

function nameIn(word: string): string {
  return word.replace(/^--?/, '').split('=', 1)[0] ?? '';
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
      .command(checkCommand)
      .command(doctorCommand)
      .command(publishCommand)
      .command(subscribeCommand)
      .command(tailCommand)
      .command(tokenCommand)
      .command(benchCommand)
      .completion('completion', 'print a script that completes commands and options (bash, zsh)')
      .example('$0 start', 'start the server; without configuration it creates a "demo" app')
      .example('$0 subscribe news', 'in a second terminal: print messages published to "news"')
      .example(`$0 publish news hello '{"text":"it works"}'`, 'in a third terminal: publish a message')
      .epilogue('For the options and examples of a command, run it with --help: gusher start --help')
      .demandCommand(1, 'A command is required.')
      .strict()
      .parserConfiguration({
        // Keeps values exactly as typed.
        'parse-numbers': false,
        'parse-positional-numbers': false,
        'dot-notation': false,
        'camel-case-expansion': false,
        'boolean-negation': false,
      })
      .version(version)
      .alias('version', 'v')
      .help()
      .alias('help', 'h')
      // The caller exits, also after --help and --version.
      .exitProcess(false)
      .wrap(Math.min(WIDEST, process.stdout.columns ?? WIDEST))
      .fail((message, error?: Error) => {
        throw error === undefined || error.name === 'YError' ? new UsageError(message) : error;
      })
  );
}
