import * as v from 'valibot';

/** Prints one line of a command's result. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Says something beside the result, which may go to another program. */
export function printNote(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** JSON on one line, else unchanged: outside of strings a line break is but white space, inside there is none. */
export function oneLine(json: string): string {
  return json.replace(/[\r\n]+/g, ' ');
}

const errorResponse = v.object({ error: v.object({ message: v.string() }) });

/** The sentence in the body of an error. */
export function errorMessageOf(body: string): string {
  try {
    return v.parse(errorResponse, JSON.parse(body)).error.message;
  } catch {
    // Somebody else answered at that address.
    return 'the answer is not one of gusher';
  }
}
