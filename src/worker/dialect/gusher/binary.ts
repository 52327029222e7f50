import { isUtf8 } from 'node:buffer';

/**
 * The text of a message. gusher-js with its binary option sends the UTF-16 code units of the text, low byte
 * first, in a binary frame. `undefined` if the bytes are no text.
 */
export function textOf(message: Buffer, isBinary: boolean): string | undefined {
  if (!isBinary) return message.toString('utf8');
  if (message.length % 2 !== 0) return undefined;
  const text = message.toString('utf16le');
  return isUtf8(Buffer.from(text, 'utf8')) ? text : undefined;
}
