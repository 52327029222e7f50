const FAILURE = 1;
const USAGE = 2;

/** A valid command failed: exit code 1. */
export class CommandFailedError extends Error {}

/** The command or a setting is invalid: exit code 2. The message has one line per error. */
export class UsageError extends Error {}

/** A command that printed its result ends with this exit code. */
export class ExitCodeError extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit code ${code}`);
    this.code = code;
  }
}

/** Prints an error to standard error and returns the exit code. */
export function exitCode(error: unknown): number {
  if (error instanceof ExitCodeError) return error.code;
  if (error instanceof UsageError) {
    printError(error.message);
    process.stderr.write('\nTry: gusher --help\n');
    return USAGE;
  }
  // Any other error is a defect of gusher, so the stack matters.
  const unexpected = error instanceof Error ? (error.stack ?? error.message) : String(error);
  printError(error instanceof CommandFailedError ? error.message : unexpected);
  return FAILURE;
}

function printError(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`gusher: ${line}\n`);
}
