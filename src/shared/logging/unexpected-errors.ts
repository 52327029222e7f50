import type { Stats } from '../metrics/stats.ts';
import type { Logger } from './log.ts';
import { LogThrottle } from './log-throttle.ts';

const INTERVAL_MS = 10_000;
const LINES_PER_PLACE = 5;

/**
 * The policy for unexpected errors, each of which is a defect: the failed work ends, the stack is logged, and the process
 * continues with other work. Attack: input that fails every time; so the lines are throttled.
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

  /** Logs and counts an error. `place` names the failed operation. */
  readonly report = (error: unknown, place: string, facts: Readonly<Record<string, unknown>> = {}): void => {
    this.#stats.unexpectedErrors += 1;
    this.#throttle.write(place, {
      level: 'error',
      facts: { event: 'unexpected_error', place, ...facts, err: error },
      message: 'unexpected error',
    });
  };

  /** Runs `work` and reports its error instead of throwing it. */
  run(place: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.report(error, place);
    }
  }
}
