import { stderr } from 'node:process';
import { isatty } from 'node:tty';
import { type Logger, pino } from 'pino';
import type { Settings } from '../config/settings.ts';
import { painterFor, paintNothing } from './terminal.ts';
import { textOfLogLine } from './text-lines.ts';

export type { Logger } from 'pino';

/** Most buffered bytes while standard error does not accept output. */
const BUFFER_MAX_BYTES = 1024 * 1024;

const STANDARD_ERROR = 2;

/**
 * Creates the log of one process on standard error: JSON, or readable text on a terminal. Writes synchronously, so that the
 * last line before a crash is not lost.
 */
export function createLog(
  { logLevel, logFormat }: Pick<Settings, 'logLevel' | 'logFormat'>,
  process: Record<string, unknown>,
): Logger {
  const standardError = pino.destination({ dest: STANDARD_ERROR, sync: true, maxLength: BUFFER_MAX_BYTES });
  const isTerminal = isatty(STANDARD_ERROR);
  const isText = logFormat === 'text' || (logFormat === 'auto' && isTerminal);
  const paint = isTerminal ? painterFor(stderr) : paintNothing;
  // On a full disk or a closed pipe, lines are lost: no other output exists for the error.
  standardError.on('error', () => undefined);
  return pino(
    {
      level: logLevel,
      base: process,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    isText ? { write: (line) => standardError.write(textOfLogLine(line, paint)) } : standardError,
  );
}
