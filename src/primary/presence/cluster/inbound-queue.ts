/** How long messages are read in one turn, in ms; one that takes longer is read to its end. */
const SLICE_MS = 5;
/** Attack: messages faster than they are read. What is beyond is lost, and missed by its number. */
const WAITING_MAX_BYTES = 64 * 1024 * 1024;

/** What came from Redis and waits to be read: many messages can come in one turn, and reading takes time. */
export class InboundQueue {
  readonly #read: (bytes: Buffer) => void;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #requested = false;

  constructor(read: (bytes: Buffer) => void) {
    this.#read = read;
  }

  add(bytes: Buffer): void {
    if (this.#waitingBytes + bytes.length > WAITING_MAX_BYTES) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#request();
  }

  #request(): void {
    if (this.#requested) return;
    this.#requested = true;
    setImmediate(this.#work);
  }

  readonly #work = (): void => {
    this.#requested = false;
    const until = performance.now() + SLICE_MS;
    let read = 0;
    for (const bytes of this.#waiting) {
      read += 1;
      this.#waitingBytes -= bytes.length;
      this.#read(bytes);
      if (performance.now() > until) break;
    }
    this.#waiting = this.#waiting.slice(read);
    if (this.#waiting.length > 0) this.#request();
  };
}
