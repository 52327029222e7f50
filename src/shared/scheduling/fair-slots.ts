/** A slot, or a place in the queue for one. */
export interface SlotRequest {
  /** Returns the slot or leaves the queue. Further calls do nothing. */
  release(): void;
}

export interface FairSlotsOptions {
  /** Slots of all keys together. */
  readonly slotsMax: number;
  readonly slotsPerKeyMax: number;
  readonly queuedMax: number;
  readonly queuedPerKeyMax: number;
}

interface Waiting {
  readonly start: () => void;
  isStarted: boolean;
}

/** The requests of one key. */
interface KeyQueue {
  inUse: number;
  readonly waiting: Set<Waiting>;
}

/**
 * Shares a limited number of slots among keys (apps). Waiting keys are served round robin, one request each.
 *
 * A key may use at most as many slots as are still free (dynamic thresholds, Choudhury and Hahne 1998). A key that
 * never returns its slots therefore holds at most half of them, and each further one at most half of the rest.
 */
export class FairSlots {
  readonly #options: FairSlotsOptions;
  /** Keys with slots in use or requests waiting. */
  readonly #keyQueues = new Map<string, KeyQueue>();
  /** Keys with waiting requests, in the order of service. */
  readonly #queue = new Set<KeyQueue>();
  #inUse = 0;
  #queued = 0;

  constructor(options: FairSlotsOptions) {
    this.#options = options;
  }

  /**
   * Requests a slot. `start` is called when it is assigned, possibly before this method returns. Returns
   * `undefined` if the queue of the key, or the queue of all keys, is full.
   */
  request(key: string, start: () => void): SlotRequest | undefined {
    const keyQueue = this.#keyQueues.get(key) ?? { inUse: 0, waiting: new Set() };
    const waiting: Waiting = { start, isStarted: false };
    const isFirst = keyQueue.waiting.size === 0;
    if (isFirst && this.#hasSlotFor(keyQueue)) {
      this.#keyQueues.set(key, keyQueue);
      this.#assign(keyQueue, waiting);
    } else {
      const { queuedMax, queuedPerKeyMax } = this.#options;
      if (this.#queued >= queuedMax || keyQueue.waiting.size >= queuedPerKeyMax) return undefined;
      this.#keyQueues.set(key, keyQueue);
      keyQueue.waiting.add(waiting);
      this.#queued += 1;
      this.#queue.add(keyQueue);
    }
    let isReleased = false;
    return {
      release: () => {
        if (isReleased) return;
        isReleased = true;
        this.#release(key, keyQueue, waiting);
      },
    };
  }

  get inUse(): number {
    return this.#inUse;
  }

  get queued(): number {
    return this.#queued;
  }

  #hasSlotFor({ inUse }: KeyQueue): boolean {
    const { slotsMax, slotsPerKeyMax } = this.#options;
    return inUse < Math.min(slotsPerKeyMax, slotsMax - this.#inUse);
  }

  #assign(keyQueue: KeyQueue, waiting: Waiting): void {
    waiting.isStarted = true;
    keyQueue.inUse += 1;
    this.#inUse += 1;
    waiting.start();
  }

  #release(key: string, keyQueue: KeyQueue, waiting: Waiting): void {
    if (waiting.isStarted) {
      keyQueue.inUse -= 1;
      this.#inUse -= 1;
    } else {
      this.#removeWaiting(keyQueue, waiting);
    }
    if (keyQueue.inUse === 0 && keyQueue.waiting.size === 0) this.#keyQueues.delete(key);
    if (waiting.isStarted) this.#assignFree();
  }

  #removeWaiting(keyQueue: KeyQueue, waiting: Waiting): void {
    keyQueue.waiting.delete(waiting);
    this.#queued -= 1;
    if (keyQueue.waiting.size === 0) this.#queue.delete(keyQueue);
  }

  /** A key that was served and has more waiting requests moves to the end. */
  #assignFree(): void {
    for (const keyQueue of this.#queue) {
      if (this.#inUse >= this.#options.slotsMax) return;
      if (!this.#hasSlotFor(keyQueue)) continue;
      const [next] = keyQueue.waiting;
      if (next === undefined) continue;
      this.#removeWaiting(keyQueue, next);
      this.#queue.delete(keyQueue);
      if (keyQueue.waiting.size > 0) this.#queue.add(keyQueue);
      this.#assign(keyQueue, next);
    }
  }
}
