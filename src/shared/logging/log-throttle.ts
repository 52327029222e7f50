import type { Logger } from './log.ts';

/** Levels of the lines that a throttle writes. */
export type ThrottledLevel = 'debug' | 'info' | 'warn' | 'error';

/** One log line: its facts name the `event`. */
export interface ThrottledLine {
  readonly level: ThrottledLevel;
  readonly facts: { readonly event: string } & Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface LogThrottleOptions {
  readonly log: Pick<Logger, ThrottledLevel>;
  /** The interval in which `linesPerKey` lines of one key are written. */
  readonly intervalMs: number;
  readonly linesPerKey?: number;
  /** Attack: a remote program that chooses keys. Beyond this number all further keys of an event share one. */
  readonly keysMax?: number;
  /** The number of lines that all keys together write in one interval. */
  readonly linesMax?: number;
}

interface Counted {
  lines: number;
  suppressed: number;
  last: ThrottledLine;
}

/**
 * Limits how often similar lines are logged. In each interval the first `linesPerKey` lines of a key are written. At the
 * end of the interval the last line that was left out is written with the number of lines left out in `suppressed`. One
 * timer serves all keys; without suppressed lines there is none after the interval.
 */
export class LogThrottle {
  readonly #log: Pick<Logger, ThrottledLevel>;
  readonly #intervalMs: number;
  readonly #linesPerKey: number;
  readonly #keysMax: number;
  readonly #linesMax: number;
  readonly #counted = new Map<string, Counted>();
  #lines = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LogThrottleOptions) {
    this.#log = options.log;
    this.#intervalMs = options.intervalMs;
    this.#linesPerKey = options.linesPerKey ?? 1;
    this.#keysMax = options.keysMax ?? 1_000;
    this.#linesMax = options.linesMax ?? Number.POSITIVE_INFINITY;
  }

  /** Writes the line, or counts it as suppressed. Lines with the same event and `key` share a limit. */
  write(key: string, line: ThrottledLine): void {
    const counted = this.#find(`${line.facts.event}\n${key}`, line);
    if (counted.lines < this.#linesPerKey && this.#lines < this.#linesMax) {
      counted.lines += 1;
      this.#lines += 1;
      this.#log[line.level](line.facts, line.message);
      return;
    }
    counted.suppressed += 1;
    counted.last = line;
  }

  /** Ends the interval: reports what was suppressed and starts counting again. */
  readonly flush = (): void => {
    const counted = [...this.#counted.values()];
    this.#counted.clear();
    this.#lines = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { suppressed, last } of counted) {
      if (suppressed > 0) this.#log[last.level]({ ...last.facts, suppressed }, last.message);
    }
  };

  #find(key: string, line: ThrottledLine): Counted {
    const present = this.#counted.get(key);
    if (present !== undefined) return present;
    if (this.#counted.size >= this.#keysMax && !key.endsWith('\n'))
      return this.#find(`${line.facts.event}\n`, line);
    const counted = { lines: 0, suppressed: 0, last: line };
    this.#counted.set(key, counted);
    this.#timer ??= setTimeout(this.flush, this.#intervalMs).unref();
    return counted;
  }
}
