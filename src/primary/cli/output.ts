import * as v from 'valibot';
import { parseJson } from '../../shared/json/parse-json.ts';

/** Prints one line of a command's result. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints a note to standard error, because another program may read the result. */
export function printNote(line: string): void {
  process.stderr.write(`${line}\n`);
}

/**
 * Joins JSON into one line, and escapes the control characters that JSON allows in strings. Attack: U+009B in a message
 * begins an escape sequence of a terminal. JSON has line breaks only between tokens, never inside strings.
 */
export function oneLine(json: string): string {
  return json.replace(/[\r\n]+/g, ' ').replace(/[\u007f-\u009f]/g, escaped);
}

/** Makes text from another program safe for a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const errorResponse = v.object({ error: v.object({ code: v.string(), message: v.string() }) });

/** Returns the message in an error body. */
export function errorMessageOf(body: string): string {
  try {
    return printable(v.parse(errorResponse, JSON.parse(body)).error.message);
  } catch {
    // Another program responded at that address.
    return 'the response is not from gusher';
  }
}

/** Returns the code in an error body; `undefined` if the response is not from gusher. */
export function errorCodeOf(body: string): string | undefined {
  const parsed = v.safeParse(errorResponse, parseJson(body));
  return parsed.success ? printable(parsed.output.error.code) : undefined;
}
