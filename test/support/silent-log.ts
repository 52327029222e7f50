import { pino } from 'pino';
import type { Logger } from '../../src/shared/logging/log.ts';

/** Creates a log that writes nothing. */
export function silentLog(): Logger {
  return pino({ level: 'silent' });
}
