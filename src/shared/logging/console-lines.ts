import type { Logger } from '../log.ts';
import { LogThrottle } from './log-throttle.ts';

const INTERVAL_MS = 3_600_000;
/** Different texts in one interval; all further texts are counted together. */
const TEXTS_MAX = 100;

/**
 * Turns what libraries print and the warnings of Node into log lines. The same text is logged once an hour, because
 * ioredis prints the same text for every connection.
 */
export function takeOverConsole(log: Logger): void {
  const throttle = new LogThrottle({ log, intervalMs: INTERVAL_MS, keysMax: TEXTS_MAX });
  const write = (printed: unknown): void => {
    const said = String(printed);
    throttle.write(said, {
      level: 'warn',
      facts: { event: 'library_warning', said },
      message: 'library warned',
    });
  };
  console.warn = write;
  console.error = write;
  process.removeAllListeners('warning');
  process.on('warning', write);
}
