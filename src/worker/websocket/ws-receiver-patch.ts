import { Writable } from 'node:stream';
import * as ws from 'ws';

/** What the receiver of a client has read of a frame when its length is known. */
interface ReceiverState {
  _fin: boolean;
  _opcode: number;
  frameListener?: FrameListener;
  haveLength?(done: unknown): void;
}

/** Learns of the frames of one client that are no whole messages. */
export interface FrameListener {
  frameBegan(): void;
}

const LAST_DATA_OPCODE = 2;

/** What reads the frames of a client in ws; exported, but not described in its types. */
const { Receiver } = ws as unknown as { Receiver?: { readonly prototype: Writable & ReceiverState } };

/**
 * ws ends the receiver of a client when the client has said its last, and once more when its socket closes. Of the
 * second end Node makes an error with a stack, which nobody hears of and which is a tenth of what a connection costs.
 * After this only the first one counts. False where ws keeps its receiver to itself: then nothing changes.
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
 * Makes every receiver count its frames: ws announces control frames and whole messages, but no fragments. False
 * where ws keeps its receiver to itself: then `listenToFrames` does nothing, and only whole messages are counted.
 */
export function countFrames(): boolean {
  const haveLength = Receiver?.prototype.haveLength;
  if (Receiver === undefined || haveLength === undefined) return false;
  Receiver.prototype.haveLength = function (this: ReceiverState, done: unknown): void {
    const isMessage = this._fin && this._opcode <= LAST_DATA_OPCODE;
    if (!isMessage) this.frameListener?.frameBegan();
    haveLength.call(this, done);
  };
  return true;
}

/** From now on `listener` learns of the frames of this client; after `countFrames`. */
export function listenToFrames(client: ws.WebSocket, listener: FrameListener): void {
  const receiver = (client as unknown as { _receiver?: ReceiverState | null })._receiver;
  if (receiver) receiver.frameListener = listener;
}
