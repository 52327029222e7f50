import { type Logger, pino } from 'pino';
import type { Settings } from './config/settings.ts';

export type { Logger } from 'pino';

/** What is kept, to be written later, while standard error takes nothing. */
const KEPT_MAX_BYTES = 1024 * 1024;

/**
 * The log of one process: JSON lines on standard error, one per event that an operator would act on. Written
 * at once, so that the last line of a process that dies is not lost.
 */
export function createLog(level: Settings['logLevel'], process: Record<string, unknown>): Logger {
  const standardError = pino.destination({ dest: 2, sync: true, maxLength: KEPT_MAX_BYTES });
  // A disk that is full, a reader that has gone: lines are lost, and nobody can be told.
  standardError.on('error', () => undefined);
  return pino(
    {
      level,
      base: process,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    standardError,
  );
}

/** A log that nobody reads, for tests of single parts. */
export function silentLog(): Logger {
  return pino({ level: 'silent' });
}
