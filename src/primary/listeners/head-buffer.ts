const FIRST_BYTES = 1_024;

/**
 * Collects the bytes of one request head. A head that arrives in one chunk, as most do, is not copied.
 *
 * Attack: a head that arrives byte by byte. The capacity doubles, so all copies together take linear time.
 */
export class HeadBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #storage: Buffer | undefined;

  /** Appends a chunk and returns all bytes. */
  append(chunk: Buffer): Buffer {
    const length = this.#bytes.length + chunk.length;
    if (this.#bytes.length === 0) this.#bytes = chunk;
    else {
      const storage = this.#reserve(length);
      chunk.copy(storage, this.#bytes.length);
      this.#bytes = storage.subarray(0, length);
    }
    return this.#bytes;
  }

  #reserve(length: number): Buffer {
    if (this.#storage !== undefined && this.#storage.length >= length) return this.#storage;
    const storage = Buffer.allocUnsafe(Math.max(FIRST_BYTES, length * 2));
    this.#bytes.copy(storage);
    this.#storage = storage;
    return storage;
  }
}
