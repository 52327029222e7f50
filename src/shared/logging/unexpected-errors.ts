import type { Logger } from '../log.ts';
import type { Stats } from '../stats.ts';
import { LogThrottle } from './log-throttle.ts';

const INTERVAL_MS = 10_000;
const LINES_PER_PLACE = 5;

/**
 * The one policy for errors that no code expects, each of which is a defect: the work that failed ends, the log gets the
 * stack, and the process goes on with all other work. Attack: an input that fails every time; so the lines are throttled.
 */
export class UnexpectedErrors {
  readonly #stats: Pick<Stats, 'unexpectedErrors'>;
  readonly #throttle: LogThrottle;

  constructor(options: { log: Logger; stats: Pick<Stats, 'unexpectedErrors'> }) {
    this.#stats = options.stats;
    this.#throttle = new LogThrottle({
      log: options.log,
      intervalMs: INTERVAL_MS,
      linesPerKey: LINES_PER_PLACE,
    });
  }

  /** Logs and counts an error. `place` is what failed, a constant of the code. */
  readonly report = (error: unknown, place: string, facts: Readonly<Record<string, unknown>> = {}): void => {
    this.#stats.unexpectedErrors += 1;
    this.#throttle.write(place, {
      level: 'error',
      facts: { event: 'unexpected_error', place, ...facts, err: error },
      message: 'unexpected error',
    });
  };

  /** Does `work`; an error of it is reported and goes no further. */
  run(place: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.report(error, place);
    }
  }
}
