import type { Options } from 'yargs';
import { UsageError } from './errors.ts';

/** What yargs makes of a command line. */
export type Arguments = Readonly<Record<string, unknown>> & { readonly _: readonly (string | number)[] };

/** A flag that takes text; given more than once, the last one counts. */
export function textOption(describe: string, more: Options = {}): Options {
  return { type: 'string', requiresArg: true, describe, coerce: lastOf, ...more };
}

function lastOf(value: unknown): unknown {
  return Array.isArray(value) ? value.at(-1) : value;
}

/**
 * What stands after `--`, which yargs gives to no positional: so a word may begin with a dash. Throws if there
 * are more than `most`.
 */
export function wordsAfterDashes({ _: [, ...words] }: Arguments, max = Number.POSITIVE_INFINITY): string[] {
  if (words.length > max) throw new UsageError(`too many words: ${words.slice(max).join(' ')}`);
  return words.map(String);
}
