/** Decodes percent-encoding (RFC 3986 §2.1). Returns `undefined` if it is malformed or does not encode UTF-8. */
export function percentDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
