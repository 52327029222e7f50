import { randomFillSync } from 'node:crypto';

/** 15 bytes are the 20 characters of base64url that @socket.io/sticky looks for after `sid=`. */
const ID_BYTES = 15;
const IDS_PER_DRAW = 256;

const drawn = Buffer.alloc(ID_BYTES * IDS_PER_DRAW);
let used = drawn.length;

/** An id for a connection, which nobody can guess. Drawn many at once, since each draw asks the system. */
export function newConnectionId(): string {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  const id = drawn.toString('base64url', used, used + ID_BYTES);
  used += ID_BYTES;
  return id;
}
