import { type Finding, ok, problem, skipped, warning } from '../finding.ts';
import type { RedisFacts } from './facts.ts';

/** Of a worker: publisher, subscriber, apps. Of the primary: presence (two), apps, Sentinel. */
const CLIENTS_PER_WORKER = 3;
const CLIENTS_OF_PRIMARY = 4;
const MEBIBYTE = 1024 * 1024;
/** The default of Redis for subscribers. */
const DEFAULT_HARD_BYTES = 32 * MEBIBYTE;

/** Checks whether Redis has room for the connections of gusher. */
export function checkClients({ info, config }: RedisFacts, workers: number): Finding {
  const check = 'redis maxclients';
  const max = Number(info.maxclients ?? config?.maxclients ?? Number.NaN);
  const connected = Number(info.connected_clients ?? Number.NaN);
  if (!Number.isFinite(max) || !Number.isFinite(connected)) return skipped(check, 'the ACL forbids INFO');
  const needed = workers * CLIENTS_PER_WORKER + CLIENTS_OF_PRIMARY;
  const message = `${connected} of ${max} clients are connected; gusher needs ${needed} on this host`;
  if (max - connected >= needed) return ok(check, message);
  return problem(check, message, `CONFIG SET maxclients ${Math.max(10_000, connected + 2 * needed)}`);
}

/** Checks how far a subscriber may fall behind before Redis disconnects it. */
export function checkOutputBuffer({ config }: RedisFacts): Finding {
  const check = 'redis output buffer';
  const limit = config?.['client-output-buffer-limit'];
  const [, hard, soft, seconds] = /pubsub (\d+) (\d+) (\d+)/.exec(limit ?? '') ?? [];
  if (hard === undefined) return skipped(check, 'CONFIG GET is forbidden or disabled');
  const fix = 'CONFIG SET client-output-buffer-limit "pubsub 64mb 16mb 60"';
  if (Number(hard) === 0) {
    return warning(check, 'a subscriber that does not read can fill the memory of Redis: no limit', fix);
  }
  const message = `a subscriber may be ${sizeOf(hard)} behind, or ${sizeOf(soft)} for ${seconds} s`;
  if (Number(hard) >= DEFAULT_HARD_BYTES) return ok(check, message);
  return warning(check, `${message}: a burst of publications disconnects workers`, fix);
}

function sizeOf(bytes: string | undefined): string {
  return `${Math.round((Number(bytes) / MEBIBYTE) * 10) / 10} MB`;
}
