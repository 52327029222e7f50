import { readFileSync } from 'node:fs';
import { TextDecoder } from 'node:util';
import { parse } from 'dotenv';

/** One assignment as dotenv reads it: its name, its value with quotes, and what follows up to the end of the line. */
const ASSIGNMENT =
  /^[^\S\n]*(?:export\s+)?([\w.-]+)(?:\s*=[^\S\n]*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?[^\S\n]*(#.*)?$/gm;
const SETTING_LINE = /^\s*(?:export\s+)?(GUSHER_\w*)/;

export interface EnvFile {
  readonly values: Readonly<Record<string, string>>;
  /** What cannot be meant as it stands; each begins with a name of `names`, or is about the whole file. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Reads a `.env` file. dotenv accepts any text, and cuts a value at a `#`; what it would take for another value than was
 * meant is a fault, as far as it concerns one of `names`. Throws the system's error if the file cannot be read. Nothing
 * repeats a value: it may be a secret.
 */
export function readEnvFile(path: string, names: ReadonlySet<string>): EnvFile {
  const text = decode(readFileSync(path));
  if (text === undefined) {
    const error = `${path} must be text in UTF-8 (UTF-16, as PowerShell writes it, is not read)`;
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
  // A space before it makes it a comment for everybody.
  const isCut = comment !== '' && !/\s/.test(line.charAt(line.length - comment.length - 1));
  return isCut ? 'is cut off at an unquoted #' : undefined;
}

/** `undefined` if the bytes are no UTF-8. Takes a byte order mark away, which dotenv would take for part of a name. */
function decode(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // UTF-16 without a mark is valid UTF-8 as long as all of it is ASCII.
    return text.includes('\0') ? undefined : text.replaceAll('\r\n', '\n');
  } catch {
    return undefined;
  }
}
