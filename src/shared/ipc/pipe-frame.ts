/**
 * The format of frames on the pipe between the primary and a worker: one byte for the kind, four for the length of the body,
 * then the body in UTF-8. Nothing in a body can end it or begin another frame, regardless of the text of clients and
 * backends. Length digits are base 128, so that a header is ASCII and strings can be joined before they become bytes.
 */

export const HEADER_BYTES = 5;
/** A JSON message. */
export const MESSAGE_KIND = 0x4d;
/** A relay frame: two digits for the length of the topic, the topic, JSON. */
const RELAY_KIND = 0x49;
/**
 * Attack: a length for which a reader would wait and hold memory. It is the maximum of four digits; publications are much
 * smaller (`publication-size.ts`).
 */
const BODY_MAX_BYTES = 2 ** 28 - 1;
export const TOPIC_MAX_BYTES = 2 ** 14 - 1;
const TOPIC_AT = HEADER_BYTES + 2;

/** Bytes on a pipe are not a frame. All later bytes of the sender are unreadable. */
export class MalformedFrameError extends Error {}

/** Encodes a message. Throws a `MalformedFrameError` if it is too long for a frame. */
export function messageFrame(body: string): string {
  return header(MESSAGE_KIND, Buffer.byteLength(body)) + body;
}

/** Encodes a relay frame. Throws like `messageFrame`. */
export function relayFrame(topic: string, json: string): string {
  const topicBytes = Buffer.byteLength(topic);
  if (topicBytes > TOPIC_MAX_BYTES) throw new MalformedFrameError('the topic of a frame is too long');
  const length = 2 + topicBytes + Buffer.byteLength(json);
  return `${header(RELAY_KIND, length)}${digits(topicBytes >>> 7, topicBytes & 0x7f)}${topic}${json}`;
}

function header(kind: number, length: number): string {
  if (length > BODY_MAX_BYTES) throw new MalformedFrameError('a frame is too long');
  return String.fromCharCode(
    kind,
    length >>> 21,
    (length >>> 14) & 0x7f,
    (length >>> 7) & 0x7f,
    length & 0x7f,
  );
}

function digits(high: number, low: number): string {
  return String.fromCharCode(high, low);
}

/** Returns the size of the frame at `at`, whose header must be complete. Throws a `MalformedFrameError`. */
export function frameLength(bytes: Buffer, at: number): number {
  const kind = bytes[at];
  if (kind !== MESSAGE_KIND && kind !== RELAY_KIND) throw new MalformedFrameError('unknown kind of frame');
  const [first = 0, second = 0, third = 0, fourth = 0] = [
    bytes[at + 1],
    bytes[at + 2],
    bytes[at + 3],
    bytes[at + 4],
  ];
  if ((first | second | third | fourth) > 0x7f) throw new MalformedFrameError('invalid length of a frame');
  return HEADER_BYTES + ((first << 21) | (second << 14) | (third << 7) | fourth);
}

/** Returns the position of the JSON in a relay frame. Throws a `MalformedFrameError`. */
export function relayJsonAt(frame: Buffer): number {
  const [high = 0x80, low = 0x80] = [frame[HEADER_BYTES], frame[HEADER_BYTES + 1]];
  const jsonAt = TOPIC_AT + ((high << 7) | low);
  if ((high | low) > 0x7f || jsonAt >= frame.length)
    throw new MalformedFrameError('invalid topic of a frame');
  return jsonAt;
}

/** Returns the topic of a relay frame, which ends at `jsonAt`. */
export function topicOfRelayFrame(frame: Buffer, jsonAt: number): string {
  return frame.toString('utf8', TOPIC_AT, jsonAt);
}
