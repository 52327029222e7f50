/**
 * Bytes ready for the wire: one or more whole, unmasked WebSocket frames. Shared among all clients that get
 * them, so nobody may change them.
 */
export interface Frames {
  readonly bytes: Buffer;
  /** The message in each frame, for connections whose frames must be made apart (compression). */
  readonly messages: readonly Buffer[];
}

const FIN_AND_TEXT = 0x81;
const LONGEST_7_BIT = 125;
const LONGEST_16_BIT = 0xffff;

/** Frames one text message (RFC 6455 §5.2: FIN, opcode 1, not masked). */
export function frameText(text: string): Frames {
  const length = Buffer.byteLength(text);
  const headLength = length <= LONGEST_7_BIT ? 2 : length <= LONGEST_16_BIT ? 4 : 10;
  const bytes = Buffer.allocUnsafe(headLength + length);
  bytes[0] = FIN_AND_TEXT;
  if (headLength === 2) {
    bytes[1] = length;
  } else if (headLength === 4) {
    bytes[1] = 126;
    bytes.writeUInt16BE(length, 2);
  } else {
    bytes[1] = 127;
    bytes.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
    bytes.writeUInt32BE(length % 2 ** 32, 6);
  }
  bytes.write(text, headLength, 'utf8');
  return { bytes, messages: [bytes.subarray(headLength)] };
}

/** Joins frames so that they leave in one write. */
export function joinFrames(list: readonly Frames[]): Frames {
  const [only] = list;
  if (only !== undefined && list.length === 1) return only;
  return {
    bytes: Buffer.concat(list.map((frames) => frames.bytes)),
    messages: list.flatMap((frames) => frames.messages),
  };
}

/** A ping without payload (RFC 6455 §5.5.2). */
export const PING: Frames = { bytes: Buffer.from([0x89, 0x00]), messages: [] };
