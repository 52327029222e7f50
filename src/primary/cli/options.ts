import type { Options } from 'yargs';
import { UsageError } from './errors.ts';

/** A command line as yargs parses it. */
export type Arguments = Readonly<Record<string, unknown>> & { readonly _: readonly (string | number)[] };

/** Creates a text option. If it is given more than once, the last value counts. */
export function textOption(describe: string, more: Options = {}): Options {
  return { type: 'string', requiresArg: true, describe, coerce: lastOf, ...more };
}

/** Creates an option whose text `numberOption` reads. yargs prints no type for it, so the help names it. */
export function numberTextOption(describe: string, fallback: string): Options {
  const { type: _, ...untyped } = textOption(`${describe}  [number]`);
  return { ...untyped, default: fallback, defaultDescription: fallback };
}

function lastOf(value: unknown): unknown {
  return Array.isArray(value) ? value.at(-1) : value;
}

/**
 * Returns the words after `--`, which may begin with a dash; yargs assigns them to no positional. Throws a `UsageError` if
 * there are more than `max`.
 */
export function wordsAfterDashes({ _: [, ...words] }: Arguments, max = Number.POSITIVE_INFINITY): string[] {
  if (words.length > max) throw new UsageError(`too many arguments: ${words.slice(max).join(' ')}`);
  return words.map(String);
}

/** Options of commands that print findings. */
export function reportOptions(): Record<string, Options> {
  return {
    json: { type: 'boolean', describe: 'print one JSON object' },
    strict: { type: 'boolean', describe: 'exit with 3 if there is a warning' },
  };
}

/** Throws a `UsageError` for a name of a channel or event that the server would reject. */
export function requireName(argument: string, name: unknown, isValid: (text: string) => boolean): void {
  if (isValid(String(name))) return;
  throw new UsageError(`${argument}: must have 1 to 256 characters and no control characters`);
}

/** Returns the value of `--url`. Throws a `UsageError` if it is not a URL of clients. */
export function checkedUrl(text: string): URL {
  if (/^wss?:\/\/[^#]+$/.test(text) && URL.canParse(text)) return new URL(text);
  throw new UsageError('--url must be a ws:// or wss:// URL');
}

/** Returns the value of an option that is a whole number. Throws a `UsageError` if it is none, or out of range. */
export function numberOption(argv: Arguments, name: string, min: number, max: number): number {
  const text = String(argv[name]);
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}`);
}
