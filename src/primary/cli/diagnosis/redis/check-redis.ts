import { type Finding, problem } from '../finding.ts';
import { checkClock } from '../network/clock.ts';
import { checkAccess } from './access.ts';
import { checkClients, checkOutputBuffer } from './capacity.ts';
import { type RedisSettings, readRedisFacts } from './facts.ts';
import { checkRedisServer } from './server.ts';
import { checkStorage } from './storage.ts';

/** A clock that differs more makes the logs of both hard to compare. */
const TOLERATED_MS = 5_000;

/** Checks the Redis of the settings. */
export async function checkRedis(settings: RedisSettings, appKeys: readonly string[]): Promise<Finding[]> {
  try {
    const facts = await readRedisFacts(settings, appKeys);
    return [
      ...checkRedisServer(facts),
      ...checkAccess(facts),
      checkClients(facts, settings.workers),
      checkOutputBuffer(facts),
      ...checkStorage(facts),
      checkClock('redis clock', facts.skewMs, TOLERATED_MS),
    ];
  } catch (error) {
    const fix = 'Start Redis, or correct GUSHER_REDIS_URL.';
    return [problem('redis', `it is not reachable: ${(error as Error).message}`, fix)];
  }
}
