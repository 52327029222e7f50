const FIRST_BYTES = 1_024;

/**
 * Collects the bytes of one request head. Attack: a head that arrives byte by byte. Its room doubles, so all copies
 * together take linear time. A head that arrives in one piece, as nearly all do, is not copied.
 */
export class HeadBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #room: Buffer | undefined;

  /** Adds a chunk; returns everything so far. */
  append(chunk: Buffer): Buffer {
    const length = this.#bytes.length + chunk.length;
    if (this.#bytes.length === 0) this.#bytes = chunk;
    else {
      const room = this.#roomFor(length);
      chunk.copy(room, this.#bytes.length);
      this.#bytes = room.subarray(0, length);
    }
    return this.#bytes;
  }

  #roomFor(length: number): Buffer {
    if (this.#room !== undefined && this.#room.length >= length) return this.#room;
    const room = Buffer.allocUnsafe(Math.max(FIRST_BYTES, length * 2));
    this.#bytes.copy(room);
    this.#room = room;
    return room;
  }
}
