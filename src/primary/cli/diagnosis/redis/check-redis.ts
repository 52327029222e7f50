import { type Finding, problem } from '../finding.ts';
import { judgeClock } from '../network/clock.ts';
import { judgeAccess } from './access.ts';
import { judgeClients, judgeOutputBuffer } from './capacity.ts';
import { type RedisSettings, readRedisFacts } from './facts.ts';
import { judgeServer } from './server.ts';
import { judgeStorage } from './storage.ts';

/** A clock that differs more makes the logs of both hard to compare. */
const TOLERATED_MS = 5_000;

/** Judges the Redis of the settings. */
export async function checkRedis(settings: RedisSettings, appKeys: readonly string[]): Promise<Finding[]> {
  try {
    const facts = await readRedisFacts(settings, appKeys);
    return [
      ...judgeServer(facts),
      ...judgeAccess(facts),
      judgeClients(facts, settings.workers),
      judgeOutputBuffer(facts),
      ...judgeStorage(facts),
      judgeClock('redis clock', facts.skewMs, TOLERATED_MS),
    ];
  } catch (error) {
    const fix = 'Start Redis, or correct GUSHER_REDIS_URL.';
    return [problem('redis', `it is not reachable: ${(error as Error).message}`, fix)];
  }
}
