import { isatty } from 'node:tty';
import { type Logger, pino } from 'pino';
import type { Settings } from './config/settings.ts';
import { textOfLogLine } from './logging/text-lines.ts';

export type { Logger } from 'pino';

/** What is kept, to be written later, while standard error takes nothing. */
const BUFFER_MAX_BYTES = 1024 * 1024;

const STANDARD_ERROR = 2;

/**
 * The log of one process on standard error, a line per event that an operator would act on: JSON, or at a terminal text
 * that a person reads. Written at once, so that the last line of a process that dies is not lost.
 */
export function createLog(
  { logLevel, logFormat }: Pick<Settings, 'logLevel' | 'logFormat'>,
  process: Record<string, unknown>,
): Logger {
  const standardError = pino.destination({ dest: STANDARD_ERROR, sync: true, maxLength: BUFFER_MAX_BYTES });
  const isText = logFormat === 'text' || (logFormat === 'auto' && isatty(STANDARD_ERROR));
  // A disk that is full, a reader that has gone: lines are lost, and nobody can be told.
  standardError.on('error', () => undefined);
  return pino(
    {
      level: logLevel,
      base: process,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    isText ? { write: (line) => standardError.write(textOfLogLine(line)) } : standardError,
  );
}
