/** A slot, or the wait for one. */
export interface SlotRequest {
  /** Gives the slot back, or leaves the queue. Further calls do nothing. */
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
interface Lane {
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
  readonly #lanes = new Map<string, Lane>();
  /** Lanes with waiting requests, in the order in which they are served. */
  readonly #queue = new Set<Lane>();
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
    const lane = this.#lanes.get(key) ?? { inUse: 0, waiting: new Set() };
    const waiting: Waiting = { start, isStarted: false };
    const isFirst = lane.waiting.size === 0;
    if (isFirst && this.#hasSlotFor(lane)) {
      this.#lanes.set(key, lane);
      this.#assign(lane, waiting);
    } else {
      const { queuedMax, queuedPerKeyMax } = this.#options;
      if (this.#queued >= queuedMax || lane.waiting.size >= queuedPerKeyMax) return undefined;
      this.#lanes.set(key, lane);
      lane.waiting.add(waiting);
      this.#queued += 1;
      this.#queue.add(lane);
    }
    let isReleased = false;
    return {
      release: () => {
        if (isReleased) return;
        isReleased = true;
        this.#release(key, lane, waiting);
      },
    };
  }

  get inUse(): number {
    return this.#inUse;
  }

  get queued(): number {
    return this.#queued;
  }

  #hasSlotFor({ inUse }: Lane): boolean {
    const { slotsMax, slotsPerKeyMax } = this.#options;
    return inUse < Math.min(slotsPerKeyMax, slotsMax - this.#inUse);
  }

  #assign(lane: Lane, waiting: Waiting): void {
    waiting.isStarted = true;
    lane.inUse += 1;
    this.#inUse += 1;
    waiting.start();
  }

  #release(key: string, lane: Lane, waiting: Waiting): void {
    if (waiting.isStarted) {
      lane.inUse -= 1;
      this.#inUse -= 1;
    } else {
      this.#withdraw(lane, waiting);
    }
    if (lane.inUse === 0 && lane.waiting.size === 0) this.#lanes.delete(key);
    if (waiting.isStarted) this.#assignFree();
  }

  #withdraw(lane: Lane, waiting: Waiting): void {
    lane.waiting.delete(waiting);
    this.#queued -= 1;
    if (lane.waiting.size === 0) this.#queue.delete(lane);
  }

  /** A lane that was served and still waits is visited again after the others. */
  #assignFree(): void {
    for (const lane of this.#queue) {
      if (this.#inUse >= this.#options.slotsMax) return;
      if (!this.#hasSlotFor(lane)) continue;
      const [next] = lane.waiting;
      if (next === undefined) continue;
      this.#withdraw(lane, next);
      this.#queue.delete(lane);
      if (lane.waiting.size > 0) this.#queue.add(lane);
      this.#assign(lane, next);
    }
  }
}
