/** A lone surrogate, which UTF-8 cannot encode. */
const LONE_SURROGATE = /\p{Cs}/u;

/**
 * Decodes a message. With its binary option, gusher-js sends UTF-16 in little-endian order in a binary frame.
 * `undefined` if the bytes are not valid text.
 */
export function textOf(message: Buffer, isBinary: boolean): string | undefined {
  // Text is valid UTF-8: ws closes the connection with 1007 otherwise.
  if (!isBinary) return message.toString('utf8');
  if (message.length % 2 !== 0) return undefined;
  const text = message.toString('utf16le');
  return LONE_SURROGATE.test(text) ? undefined : text;
}
