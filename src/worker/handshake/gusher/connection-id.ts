import { randomFillSync } from 'node:crypto';

/** 15 bytes are 20 characters of base64url, the length that @socket.io/sticky expects after `sid=`. */
const ID_BYTES = 15;
const IDS_PER_REFILL = 256;

const pool = Buffer.alloc(ID_BYTES * IDS_PER_REFILL);
let used = pool.length;

/** Creates an unguessable connection id. Random bytes are drawn for many ids at once, to save system calls. */
export function newConnectionId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.toString('base64url', used, used + ID_BYTES);
  used += ID_BYTES;
  return id;
}
