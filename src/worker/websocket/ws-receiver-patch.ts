import { Writable } from 'node:stream';
import * as ws from 'ws';

/** The private fields of the ws receiver that this file reads. They are set when the length of a frame is known. */
interface ReceiverState {
  _fin: boolean;
  _opcode: number;
  _payloadLength: number;
  frameListener?: FrameListener;
  haveLength?(done: unknown): void;
}

/** Counts the frames of one client that are not whole messages. */
export interface FrameListener {
  /** `bytes` is the length of its payload. */
  frameBegan(bytes: number): void;
}

const LAST_DATA_OPCODE = 2;

/** Parses the frames of a client. ws exports the class, but its types lack it. */
const { Receiver } = ws as unknown as { Receiver?: { readonly prototype: Writable & ReceiverState } };

/**
 * Makes a second `end()` of a ws receiver a no-op. ws ends the receiver of a client at the end of its stream, and again
 * when its socket closes. For the second call Node creates an error with a stack that no code handles, a tenth of the
 * whole cost of a connection. ws has no option for this, so the prototype is patched.
 *
 * Returns false, and changes nothing, if ws does not export its receiver.
 */
export function endReceiversOnce(): boolean {
  if (!(Receiver?.prototype instanceof Writable)) return false;
  const end = Writable.prototype.end as (this: Writable, ...rest: unknown[]) => Writable;
  const endOnce = function (this: Writable, ...rest: unknown[]): Writable {
    return this.writableEnded && rest.length === 0 ? this : end.apply(this, rest);
  };
  Object.assign(Receiver.prototype, { end: endOnce });
  return true;
}

/**
 * Makes every ws receiver report its frames. ws emits events for control frames and whole messages, but not for
 * fragments, so a flood of fragments would be invisible.
 *
 * Returns false, and changes nothing, if ws lacks the private method. Then only whole messages and pings are limited.
 */
export function countFrames(): boolean {
  const haveLength = Receiver?.prototype.haveLength;
  if (Receiver === undefined || haveLength === undefined) return false;
  Receiver.prototype.haveLength = function (this: ReceiverState, done: unknown): void {
    const isMessage = this._fin && this._opcode <= LAST_DATA_OPCODE;
    if (!isMessage) this.frameListener?.frameBegan(this._payloadLength);
    haveLength.call(this, done);
  };
  return true;
}

/** Reports the frames of this client to `listener` from now on. Needs `countFrames` first. */
export function listenToFrames(client: ws.WebSocket, listener: FrameListener): void {
  const receiver = (client as unknown as { _receiver?: ReceiverState | null })._receiver;
  if (receiver) receiver.frameListener = listener;
}
