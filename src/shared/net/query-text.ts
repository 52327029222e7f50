import { isUtf8 } from 'node:buffer';

/** Percent-encoded bytes. */
const ENCODED_BYTES = /(?:%[0-9A-Fa-f]{2})+/g;

/**
 * Parses a query, or a body of the type `application/x-www-form-urlencoded`. Returns `undefined` if its encoded bytes are
 * not UTF-8: the URL standard replaces them, which could make two texts equal.
 */
export function parseQueryText(text: string): URLSearchParams | undefined {
  const runs = text.match(ENCODED_BYTES) ?? [];
  const isText = runs.every((run) => isUtf8(Buffer.from(run.replaceAll('%', ''), 'hex')));
  return isText ? new URLSearchParams(text) : undefined;
}
