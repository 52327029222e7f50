import type { Logger } from '../../src/shared/logging/log.ts';
import { silentLog } from './silent-log.ts';

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'] as const;

/** One call of a log: its level, its message, and its facts. */
export interface LogLine extends Readonly<Record<string, unknown>> {
  readonly level: (typeof LEVELS)[number];
  readonly message: string;
}

/** Returns a log that prints nothing, and its lines in order. */
export function recordingLog(): { readonly log: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const recorders = LEVELS.map((level) => [
    level,
    (facts: object, message: string): void => void lines.push({ ...facts, level, message }),
  ]);
  return { log: Object.assign(silentLog(), Object.fromEntries(recorders)), lines };
}
