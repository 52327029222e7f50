import { hasLoneSurrogate } from '../../../shared/model/names.ts';

/**
 * Decodes a message. With its binary option, gusher-js sends UTF-16 in little-endian order in a binary frame.
 * `undefined` if the bytes are not valid text.
 */
export function textOf(message: Buffer, isBinary: boolean): string | undefined {
  // Text is valid UTF-8: ws closes the connection with 1007 otherwise.
  if (!isBinary) return message.toString('utf8');
  if (message.length % 2 !== 0) return undefined;
  const text = message.toString('utf16le');
  return hasLoneSurrogate(text) ? undefined : text;
}
