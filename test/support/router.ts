import { errorBody } from '../../src/shared/errors/http-error.ts';
import { createStats } from '../../src/shared/metrics/stats.ts';
import { Router, type RouterOptions } from '../../src/worker/api/http/router.ts';
import { noUnexpectedErrors } from './unexpected.ts';

/** Creates a router without routes, for tests of single resources. */
export function routerForTests(): Router {
  return new Router(routerOptionsForTests());
}

export function routerOptionsForTests(): RouterOptions {
  return {
    clientLog: { requestRejected: () => undefined },
    unexpected: noUnexpectedErrors(),
    limits: { bodyMaxBytes: 1_024, bodiless: new Set() },
    errorBodyAt: () => errorBody,
    stats: createStats(),
  };
}
