import { silentLog } from '../../src/shared/log.ts';
import { UnexpectedErrors } from '../../src/shared/logging/unexpected-errors.ts';
import { createStats } from '../../src/shared/stats.ts';

/** Unexpected errors of a part under test: none is expected, so the first one fails the test. */
export function noUnexpectedErrors(): UnexpectedErrors {
  const unexpected = new UnexpectedErrors({ log: silentLog(), stats: createStats() });
  return Object.assign(unexpected, {
    report: (error: unknown) => {
      throw error;
    },
  });
}
