import { readFileSync } from 'node:fs';
import { TextDecoder } from 'node:util';
import { parse } from 'dotenv';

/** One assignment in the syntax of dotenv: name, value with quotes, and comment. */
const ASSIGNMENT =
  /^[^\S\n]*(?:export\s+)?([\w.-]+)(?:\s*=[^\S\n]*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?[^\S\n]*(#.*)?$/gm;
const SETTING_LINE = /^\s*(?:export\s+)?(GUSHER_\w*)/;

export interface EnvFile {
  readonly values: Readonly<Record<string, string>>;
  /** Each begins with a name of `names`, or concerns the whole file. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Reads a `.env` file. dotenv accepts any text and cuts values at a `#`. For variables in `names`, values that dotenv would
 * misread are errors. Throws the system error if the file is not readable. No message repeats a value, which may be a
 * secret.
 */
export function readEnvFile(path: string, names: ReadonlySet<string>): EnvFile {
  const text = decode(readFileSync(path));
  if (text === undefined) {
    const error = `${path} must be UTF-8 text, not UTF-16 (as written by PowerShell)`;
    return { values: {}, errors: [error], warnings: [] };
  }
  const errors: string[] = [];
  const seen = new Set<string>();
  const repeated = new Set<string>();
  const rest = text.replace(ASSIGNMENT, (line: string, name: string, value = '', comment = '') => {
    if (seen.has(name)) repeated.add(name);
    seen.add(name);
    const error = names.has(name) ? errorOf(line, value.trim(), comment) : undefined;
    if (error !== undefined) errors.push(`${name} in ${path} ${error}; quote the value: ${name}='…'`);
    return '';
  });
  for (const line of rest.split('\n')) {
    const [, name = ''] = SETTING_LINE.exec(line) ?? [];
    if (names.has(name)) errors.push(`${name} in ${path} must be followed by = and a value`);
  }
  const warnings = [...repeated]
    .filter((name) => names.has(name))
    .map((name) => `${name} is set more than once in ${path}; the last value counts`);
  return { values: parse(text), errors, warnings };
}

function errorOf(line: string, value: string, comment: string): string | undefined {
  const quote = /^['"`]/.exec(value)?.[0];
  if (quote !== undefined && (value.length < 2 || !value.endsWith(quote))) return 'has unbalanced quotes';
  // After a space, # starts a comment in every syntax of .env files.
  const isCut = comment !== '' && !/\s/.test(line.charAt(line.length - comment.length - 1));
  return isCut ? 'is cut off at an unquoted #' : undefined;
}

/** Returns `undefined` if the bytes are not UTF-8. Removes a byte order mark, which dotenv would add to a name. */
function decode(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // UTF-16 without a byte order mark is valid UTF-8 if all characters are ASCII.
    return text.includes('\0') ? undefined : text.replaceAll('\r\n', '\n');
  } catch {
    return undefined;
  }
}
