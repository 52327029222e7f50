/**
 * One or more whole, unmasked WebSocket frames, ready to write. All receivers share the bytes, so they must not be
 * changed.
 */
export interface Frames {
  readonly bytes: Buffer;
  /** The message in each frame, for connections that need frames of their own (compression). */
  readonly messages: readonly Buffer[];
  /** The control frames among them, whole: these are never compressed (RFC 7692 §5). */
  readonly controls: readonly Buffer[];
  /** How many of the messages are deliveries: publications, or messages to a user or a socket. */
  readonly deliveries: number;
}

const FIN_AND_TEXT = 0x81;
const FIN_AND_PING = 0x89;
const FIN_AND_PONG = 0x8a;
const LONGEST_7_BIT = 125;
const LONGEST_16_BIT = 0xffff;
const NONE: readonly Buffer[] = [];

/** Frames a publication, or a message to a user or a socket. */
export function frameDelivery(text: string): Frames {
  return frame(text, 1);
}

/** Frames one text message (RFC 6455 §5.2: FIN, opcode 1, unmasked). */
export function frameText(text: string): Frames {
  return frame(text, 0);
}

function frame(text: string, deliveries: number): Frames {
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
  return { bytes, messages: [bytes.subarray(headLength)], controls: NONE, deliveries };
}

/** Joins frames so that they leave in one write. */
export function joinFrames(list: readonly Frames[]): Frames {
  const [only] = list;
  if (only !== undefined && list.length === 1) return only;
  return {
    bytes: Buffer.concat(list.map((frames) => frames.bytes)),
    messages: list.flatMap((frames) => frames.messages),
    controls: list.flatMap((frames) => frames.controls),
    deliveries: list.reduce((sum, frames) => sum + frames.deliveries, 0),
  };
}

/** A ping without payload (RFC 6455 §5.5.2). */
export const PING: Frames = controlFrame(FIN_AND_PING, Buffer.alloc(0));

/** The pong to a ping, with its payload of at most 125 bytes (RFC 6455 §5.5.3). */
export function framePong(payload: Buffer): Frames {
  return controlFrame(FIN_AND_PONG, payload);
}

function controlFrame(head: number, payload: Buffer): Frames {
  const bytes = Buffer.concat([Buffer.from([head, payload.length]), payload]);
  return { bytes, messages: [], controls: [bytes], deliveries: 0 };
}
