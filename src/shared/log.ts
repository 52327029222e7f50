import { type Logger, pino } from 'pino';
import type { Settings } from './config/settings.ts';

export type { Logger } from 'pino';

/** What is kept, to be written later, while standard error takes nothing. */
const KEPT_MAX_BYTES = 1024 * 1024;
/** Different texts of libraries that are told. */
const TEXTS_MAX = 100;

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

/**
 * From now on what libraries print, and warnings of Node, are lines of the log as well: each once, since ioredis says
 * the same at every connection.
 */
export function takeOverConsole(log: Logger): void {
  const told = new Set<string>();
  const tell = (said: unknown): void => {
    const text = String(said);
    if (told.has(text) || told.size >= TEXTS_MAX) return;
    told.add(text);
    log.warn({ said: text }, 'a library warns');
  };
  console.warn = tell;
  console.error = tell;
  process.removeAllListeners('warning');
  process.on('warning', tell);
}

/** A log that nobody reads, for tests of single parts. */
export function silentLog(): Logger {
  return pino({ level: 'silent' });
}
