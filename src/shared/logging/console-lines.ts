import type { Logger } from './log.ts';
import { LogThrottle } from './log-throttle.ts';

const INTERVAL_MS = 3_600_000;
/** Different texts in one interval; all further texts are counted together. */
const TEXTS_MAX = 100;

/**
 * Redirects `console` and warnings of Node to the log. The same text is logged once an hour, because ioredis prints it for
 * every connection. Removing the listeners of `warning` is the only way to keep Node from printing warnings itself.
 * Entry points call this, so tests and other programs that import gusher keep their console.
 */
export function redirectConsole(log: Logger): void {
  const throttle = new LogThrottle({ log, intervalMs: INTERVAL_MS, keysMax: TEXTS_MAX });
  const write = (printed: unknown): void => {
    const warning = String(printed);
    throttle.write(warning, {
      level: 'warn',
      facts: { event: 'library_warning', warning },
      message: 'library warned',
    });
  };
  console.warn = write;
  console.error = write;
  process.removeAllListeners('warning');
  process.on('warning', write);
}
