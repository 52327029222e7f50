/** More than any single close needs: commands to Redis give up after two seconds. */
const TIMEOUT_MS = 5_000;

interface Closer {
  readonly name: string;
  readonly close: () => unknown;
  readonly timeoutMs: number;
}

/** Logs the parts that failed to close. */
interface ErrorLog {
  error(facts: object, message: string): void;
}

/**
 * The parts of a process that must be closed, in the order in which they were opened. Closes them in reverse, one
 * at a time. A part that throws, rejects or does not finish in time is logged, and the others are still closed.
 */
export class Closers {
  readonly #log: ErrorLog;
  readonly #closers: Closer[] = [];

  constructor(options: { log: ErrorLog }) {
    this.#log = options.log;
  }

  /** `timeoutMs`: how long the close may take before the next part is closed. */
  add(name: string, close: () => unknown, timeoutMs = TIMEOUT_MS): void {
    this.#closers.push({ name, close, timeoutMs });
  }

  /** Resolves with true if every part was closed without an error. Never rejects; a second call closes nothing. */
  async close(): Promise<boolean> {
    let clean = true;
    for (let closer = this.#closers.pop(); closer !== undefined; closer = this.#closers.pop()) {
      if (!(await this.#closeOne(closer))) clean = false;
    }
    return clean;
  }

  async #closeOne({ name, close, timeoutMs }: Closer): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`not closed within ${timeoutMs} ms`)), timeoutMs);
      });
      // In a promise, so that what is thrown at once counts too.
      await Promise.race([new Promise((resolve) => resolve(close())), late]);
      return true;
    } catch (error) {
      this.#log.error({ event: 'close_failed', part: name, err: error }, 'part not closed');
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}
