import { type Finding, ok, problem, skipped, warning } from '../finding.ts';
import type { RedisFacts } from './facts.ts';

const OLDEST = [4, 0] as const;
/** Redis 6 has ACLs, and versions before it get no corrections. */
const OLD_MAJOR = 6;

/** Checks version, role and mode of the server. */
export function checkRedisServer({ info }: RedisFacts): Finding[] {
  const check = 'redis server';
  const { redis_version: version, role, cluster_enabled: cluster, loading } = info;
  if (version === undefined) return [skipped(check, 'the ACL forbids INFO')];
  const findings: Finding[] = [checkVersion(check, version)];
  if (role === 'slave') {
    const message = 'it is a replica, so publishing fails and presence is not written';
    findings.push(
      problem('redis role', message, 'Set GUSHER_REDIS_URL to the master, or use redis-sentinel://…'),
    );
  } else findings.push(ok('redis role', 'master'));
  if (cluster === '1') {
    const fix = 'Use a Redis without cluster mode; GUSHER_REDIS_PREFIX separates installations.';
    findings.push(problem('redis role', 'it runs in cluster mode, which gusher does not support', fix));
  }
  if (loading === '1')
    findings.push(
      warning('redis role', 'it loads its data and rejects commands', 'Wait until it is loaded.'),
    );
  return findings;
}

function checkVersion(check: string, version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const message = `version ${version}`;
  const isTooOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  if (isTooOld) return problem(check, `${message} lacks commands that gusher needs`, 'Use Redis 6 or newer.');
  if (major < OLD_MAJOR) return warning(check, `${message} gets no corrections`, 'Use Redis 6 or newer.');
  return ok(check, message);
}
