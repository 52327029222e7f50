import type { Publication } from './publication.ts';

/**
 * One size rule for whatever is published: it must fit the send buffer of a client, in either protocol. Entries check
 * it before they answer, the reader of Redis checks it again, and the bounds of Redis messages and of frames on the pipe
 * follow from it. So whatever is answered with success can be delivered.
 */

/** Room for names and punctuation around the data: four names of 256 UTF-16 units, escaped. */
const NAMES_MAX_BYTES = 8 * 1024;
/** Most bytes of one UTF-16 unit in a JSON string: `\u0000`. */
const ESCAPED_UNIT_BYTES = 6;
/** Beyond it three times the data, as it is escaped on the pipe, would not fit a frame there (`pipe-frame.ts`). */
const LARGEST_BYTES = 64 * 1024 * 1024;

/** Most bytes of a publication as a client receives it. */
export function publicationMaxBytes({ sendBufferMaxBytes }: { readonly sendBufferMaxBytes: number }): number {
  return Math.min(sendBufferMaxBytes, LARGEST_BYTES);
}

/** Most bytes of the text by which Redis carries a publication: its data, and the same once more as an escaped string. */
export function envelopeMaxBytes(maxBytes: number): number {
  return 2 * maxBytes + NAMES_MAX_BYTES;
}

/** Whether clients of both protocols can receive it in `maxBytes` bytes. */
export function isDeliverable(
  { data, text = data, fromClient }: Pick<Publication, 'data' | 'text' | 'fromClient'>,
  maxBytes: number,
): boolean {
  // Nearly all are small: their length alone shows that they fit.
  if (ESCAPED_UNIT_BYTES * Math.max(data.length, text.length) + NAMES_MAX_BYTES <= maxBytes) return true;
  const dataMaxBytes = maxBytes - NAMES_MAX_BYTES;
  if (Buffer.byteLength(data) > dataMaxBytes) return false;
  // To Pusher clients data is a string that holds JSON, unless a client sent it.
  return fromClient === true || Buffer.byteLength(JSON.stringify(text)) <= dataMaxBytes;
}
