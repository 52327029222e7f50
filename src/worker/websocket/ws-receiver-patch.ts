import { Writable } from 'node:stream';
import * as ws from 'ws';

/** What reads the frames of a client in ws; exported, but not described in its types. */
const { Receiver } = ws as unknown as { Receiver?: { readonly prototype: Writable } };

/**
 * ws ends the receiver of a client when the client has said its last, and once more when its socket closes. Of the
 * second end Node makes an error with a stack, which nobody hears of and which is a tenth of what a connection costs.
 * After this only the first one counts. False where ws keeps its receiver to itself: then nothing changes.
 */
export function endReceiversOnce(): boolean {
  if (!(Receiver?.prototype instanceof Writable)) return false;
  const end = Writable.prototype.end as (this: Writable, ...rest: unknown[]) => Writable;
  Receiver.prototype.end = function (this: Writable, ...rest: unknown[]): Writable {
    return this.writableEnded && rest.length === 0 ? this : end.apply(this, rest);
  };
  return true;
}
