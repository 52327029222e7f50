import type { Settings } from '../../../../shared/config/settings.ts';
import { closeRedis, connectRedis, createRedisClient, type Redis } from '../../../../shared/redis/client.ts';
import { describeRedisError } from '../../../../shared/redis/errors.ts';
import { probeCommands, type Rejected } from './command-probes.ts';

export type RedisSettings = Pick<Settings, 'redisUrl' | 'redisPrefix' | 'workers'>;

export interface RedisFacts {
  /** The fields of INFO; empty if the ACL forbids it. */
  readonly info: Readonly<Record<string, string>>;
  /** The values of CONFIG GET; `undefined` if it is forbidden or disabled. */
  readonly config: Readonly<Record<string, string>> | undefined;
  readonly rejected: readonly Rejected[];
  /** The clock of Redis minus that of this machine, in ms; `undefined` if TIME is forbidden. */
  readonly skewMs: number | undefined;
}

const CONFIG_NAMES = ['maxclients', 'client-output-buffer-limit', 'save', 'appendonly'] as const;
/** Reads the facts of a Redis over one connection. Rejects with a readable error if it is not reachable. */
export async function readRedisFacts(
  { redisUrl = '', redisPrefix }: RedisSettings,
  appKeys: readonly string[],
): Promise<RedisFacts> {
  let lastError: unknown;
  const client = createRedisClient(redisUrl, {
    name: 'doctor',
    onError: (error) => {
      lastError = error;
    },
  });
  try {
    await connectRedis(client);
    const info = infoFields(await client.info().catch(() => ''));
    const config = await readConfig(client);
    const skewMs = await readSkew(client);
    // Subscriptions come last: a subscribed connection accepts no other command.
    const rejected = await probeCommands(client, redisPrefix, appKeys);
    return { info, config, rejected, skewMs };
  } catch (error) {
    throw new Error(describeRedisError(lastError ?? error));
  } finally {
    closeRedis(client);
  }
}

function infoFields(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
}

async function readConfig(client: Redis): Promise<Record<string, string> | undefined> {
  const config: Record<string, string> = {};
  for (const name of CONFIG_NAMES) {
    const reply = await client.call('CONFIG', 'GET', name).catch(() => undefined);
    if (!Array.isArray(reply)) return undefined;
    config[name] = String(reply[1] ?? '');
  }
  return config;
}

async function readSkew(client: Redis): Promise<number | undefined> {
  const before = Date.now();
  const time = await client.time().catch(() => undefined);
  if (time === undefined) return undefined;
  const [seconds, microseconds] = time.map(Number);
  const middle = (before + Date.now()) / 2;
  return Math.round((seconds ?? 0) * 1_000 + (microseconds ?? 0) / 1_000 - middle);
}
