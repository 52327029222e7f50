import { isUtf8 } from 'node:buffer';

/** Bytes that are written as percent signs and digits. */
const ENCODED_BYTES = /(?:%[0-9A-Fa-f]{2})+/g;

/**
 * Reads a query, or a body of the type `application/x-www-form-urlencoded`. Returns `undefined` if its encoded bytes are
 * not UTF-8: the URL standard replaces them, which makes one text of two.
 */
export function parseQueryText(text: string): URLSearchParams | undefined {
  const runs = text.match(ENCODED_BYTES) ?? [];
  const isText = runs.every((run) => isUtf8(Buffer.from(run.replaceAll('%', ''), 'hex')));
  return isText ? new URLSearchParams(text) : undefined;
}
