const USAGE = 2;
const FAILURE = 1;

/** The command was understood and could not be done: exit code 1. */
export class CommandFailedError extends Error {}

/** Says on standard error what went wrong, a line each, and answers the exit code: 2 for wrong usage. */
export function exitCodeOf(error: unknown): number {
  const failed = error instanceof CommandFailedError;
  const message = error instanceof Error ? error.message : String(error);
  const hint = failed ? '' : '\nTry: gusher --help\n';
  process.stderr.write(`gusher: ${message.split('\n').join('\ngusher: ')}\n${hint}`);
  return failed ? FAILURE : USAGE;
}
