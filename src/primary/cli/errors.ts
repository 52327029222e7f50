const FAILURE = 1;
const USAGE = 2;

/** The command was understood and could not be done: exit code 1. */
export class CommandFailedError extends Error {}

/** The command, or a setting that it needs, is wrong; a line for each fault: exit code 2. */
export class UsageError extends Error {}

/** Says on standard error what went wrong and answers the exit code. */
export function exitCode(error: unknown): number {
  if (error instanceof UsageError) {
    printError(error.message);
    process.stderr.write('\nTry: gusher --help\n');
    return USAGE;
  }
  // Anything unforeseen is a fault of gusher's own: where it happened matters then.
  const unforeseen = error instanceof Error ? (error.stack ?? error.message) : String(error);
  printError(error instanceof CommandFailedError ? error.message : unforeseen);
  return FAILURE;
}

function printError(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`gusher: ${line}\n`);
}
