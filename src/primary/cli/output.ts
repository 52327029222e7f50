import * as v from 'valibot';

/** Prints one line of a command's result. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints a note to standard error, because another program may read the result. */
export function printNote(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Joins JSON into one line. JSON has line breaks only between tokens, never inside strings. */
export function oneLine(json: string): string {
  return json.replace(/[\r\n]+/g, ' ');
}

const errorResponse = v.object({ error: v.object({ message: v.string() }) });

/** Returns the message in an error body. */
export function errorMessageOf(body: string): string {
  try {
    return v.parse(errorResponse, JSON.parse(body)).error.message;
  } catch {
    // Another program responded at that address.
    return 'the response is not from gusher';
  }
}
