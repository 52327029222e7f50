/** Time spent on messages per turn of the event loop, in ms. */
const SLICE_MS = 5;
/** Attack: messages faster than they are read. The excess is dropped; a gap in the sequence reveals that. */
const QUEUE_MAX_BYTES = 64 * 1024 * 1024;

/** Queues messages from Redis, so that many messages in one turn do not block the event loop. */
export class InboundQueue {
  readonly #read: (bytes: Buffer) => void;
  #queued: Buffer[] = [];
  #queuedBytes = 0;
  #isScheduled = false;

  constructor(read: (bytes: Buffer) => void) {
    this.#read = read;
  }

  add(bytes: Buffer): void {
    if (this.#queuedBytes + bytes.length > QUEUE_MAX_BYTES) return;
    this.#queued.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#readSlice);
  }

  readonly #readSlice = (): void => {
    this.#isScheduled = false;
    const until = performance.now() + SLICE_MS;
    let read = 0;
    for (const bytes of this.#queued) {
      read += 1;
      this.#queuedBytes -= bytes.length;
      this.#read(bytes);
      if (performance.now() > until) break;
    }
    this.#queued = this.#queued.slice(read);
    if (this.#queued.length > 0) this.#schedule();
  };
}
