/** Parses JSON. Returns `undefined`, which no JSON text represents, if the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller's schema rejects `undefined`.
    return undefined;
  }
}
