import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { UsageError } from './errors.ts';

/** Node replaces bytes that are not UTF-8 by this character. */
const REPLACEMENT = '\ufffd';
/** The arguments of this process as bytes, on Linux. */
const ARGUMENTS_FILE = '/proc/self/cmdline';

/** Throws a `UsageError` if an argument is not UTF-8: different names would become the same one. */
export function requireUtf8(words: readonly string[]): void {
  if (words.some((word) => word.includes(REPLACEMENT)) && !areUtf8()) {
    throw new UsageError('an argument is not UTF-8; set the terminal or the calling program to UTF-8');
  }
}

function areUtf8(): boolean {
  try {
    return isUtf8(readFileSync(ARGUMENTS_FILE));
  } catch {
    // Other systems do not have the file, and their arguments are usually UTF-16.
    return true;
  }
}
