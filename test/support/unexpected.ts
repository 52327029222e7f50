import { UnexpectedErrors } from '../../src/shared/logging/unexpected-errors.ts';
import { createStats } from '../../src/shared/metrics/stats.ts';
import { silentLog } from './silent-log.ts';

/** Creates an `UnexpectedErrors` that throws every reported error, so that the test fails. */
export function noUnexpectedErrors(): UnexpectedErrors {
  const unexpected = new UnexpectedErrors({ log: silentLog(), stats: createStats() });
  return Object.assign(unexpected, {
    report: (error: unknown) => {
      throw error;
    },
  });
}
