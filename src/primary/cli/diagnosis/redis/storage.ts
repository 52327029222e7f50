import { type Finding, ok, problem, skipped, warning } from '../finding.ts';
import type { RedisFacts } from './facts.ts';

const NEARLY_FULL = 0.9;

/** Checks memory, eviction and persistence: with a Redis, the apps are stored in it. */
export function checkStorage(facts: RedisFacts): Finding[] {
  if (facts.info.redis_version === undefined) return [skipped('redis memory', 'the ACL forbids INFO')];
  return [checkEviction(facts), checkFill(facts), checkPersistence(facts)];
}

function checkEviction({ info }: RedisFacts): Finding {
  const check = 'redis eviction';
  const policy = info.maxmemory_policy ?? 'noeviction';
  if (Number(info.maxmemory ?? 0) === 0) return ok(check, 'there is no maxmemory, so nothing is evicted');
  const fix = 'CONFIG SET maxmemory-policy noeviction, or use a Redis of its own';
  if (policy.startsWith('allkeys')) {
    return problem(check, `with ${policy}, Redis removes apps when its memory is full`, fix);
  }
  if (policy.startsWith('volatile')) {
    return warning(check, `with ${policy}, Redis removes presence of hosts when its memory is full`, fix);
  }
  return ok(check, policy);
}

function checkFill({ info }: RedisFacts): Finding {
  const check = 'redis memory';
  const [used, max] = [Number(info.used_memory ?? 0), Number(info.maxmemory ?? 0)];
  if (max === 0) return ok(check, `${info.used_memory_human ?? used} used, no maxmemory`);
  const message = `${Math.round((used / max) * 100)} % of maxmemory are used`;
  if (used < max * NEARLY_FULL) return ok(check, message);
  const fix = 'CONFIG SET maxmemory to more, or remove keys of other programs';
  if (used < max) return warning(check, `${message}; when it is full, Redis rejects writes`, fix);
  return problem(check, `${message}: Redis rejects writes (OOM)`, fix);
}

function checkPersistence({ info, config }: RedisFacts): Finding {
  const check = 'redis persistence';
  if (info.rdb_last_bgsave_status === 'err' || info.aof_last_write_status === 'err') {
    const fix = 'Free disk space, or correct the permissions of the folder of Redis (CONFIG GET dir).';
    return problem(check, 'the last save failed, so Redis may reject writes (MISCONF)', fix);
  }
  const isAppendOnly = info.aof_enabled === '1';
  if (isAppendOnly) return ok(check, 'appendonly yes');
  if (config === undefined) return skipped(check, 'CONFIG GET is forbidden or disabled');
  if (config.save !== '') return ok(check, `save ${config.save}`);
  return warning(
    check,
    'nothing is saved, so all apps are lost when Redis restarts',
    'CONFIG SET appendonly yes, then CONFIG REWRITE',
  );
}
