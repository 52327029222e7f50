import { type Logger, pino } from 'pino';
import type { Settings } from './config.ts';

export type { Logger } from 'pino';

/**
 * The log of one process: JSON lines on standard error, one per event that an operator would act on. Written
 * at once, so that the last line of a process that dies is not lost.
 */
export function createLog(level: Settings['logLevel'], process: Record<string, unknown>): Logger {
  return pino(
    {
      level,
      base: process,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** A log that nobody reads, for tests of single parts. */
export function silentLog(): Logger {
  return pino({ level: 'silent' });
}
