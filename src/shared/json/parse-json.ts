/** The value that a JSON text stands for; `undefined`, which no JSON text means, if it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is an answer here, not a failure: it is for a schema to refuse.
    return undefined;
  }
}
