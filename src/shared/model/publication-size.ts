import type { Publication } from './publication.ts';

/**
 * The size rule of publications: each must fit the send buffer of a client, in both protocols. The API checks it before it
 * responds, and the Redis reader checks it again. The bounds of Redis messages and pipe frames follow from it, so every
 * accepted publication can be delivered.
 */

/** Room for names and punctuation around the data: four names of 256 UTF-16 units, escaped. */
const NAMES_MAX_BYTES = 8 * 1024;
/** Most bytes of one UTF-16 unit in a JSON string: `\u0000`. */
const ESCAPED_UNIT_BYTES = 6;
/** Escaping on the pipe can triple the data, which must still fit a frame (`pipe-frame.ts`). */
const LARGEST_BYTES = 64 * 1024 * 1024;

/** Returns the most bytes of a publication as a client receives it. */
export function publicationMaxBytes({ sendBufferMaxBytes }: { readonly sendBufferMaxBytes: number }): number {
  return Math.min(sendBufferMaxBytes, LARGEST_BYTES);
}

/** Returns the most bytes of a publication in Redis: its data, and the same data again as an escaped string. */
export function envelopeMaxBytes(maxBytes: number): number {
  return 2 * maxBytes + NAMES_MAX_BYTES;
}

/** True if clients of both protocols can receive the publication in `maxBytes` bytes. */
export function isDeliverable(
  { data, text = data, fromClient }: Pick<Publication, 'data' | 'text' | 'fromClient'>,
  maxBytes: number,
): boolean {
  // Fast path: the length alone proves that most publications fit.
  if (ESCAPED_UNIT_BYTES * Math.max(data.length, text.length) + NAMES_MAX_BYTES <= maxBytes) return true;
  const dataMaxBytes = maxBytes - NAMES_MAX_BYTES;
  if (Buffer.byteLength(data) > dataMaxBytes) return false;
  // Pusher clients receive data as a string that contains JSON, unless a client sent it.
  return fromClient === true || Buffer.byteLength(JSON.stringify(text)) <= dataMaxBytes;
}
