/** A surrogate without its partner: half a character, which no UTF-8 text can carry. */
const LONE_SURROGATE = /\p{Cs}/u;

/**
 * The text of a message. gusher-js with its binary option sends the UTF-16 code units of the text, low byte
 * first, in a binary frame. `undefined` if the bytes are no text.
 */
export function textOf(message: Buffer, isBinary: boolean): string | undefined {
  // Text frames are UTF-8: ws has closed those that are not with 1007.
  if (!isBinary) return message.toString('utf8');
  if (message.length % 2 !== 0) return undefined;
  const text = message.toString('utf16le');
  return LONE_SURROGATE.test(text) ? undefined : text;
}
