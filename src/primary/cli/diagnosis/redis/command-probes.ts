import type { Redis } from '../../../../shared/redis/client.ts';
import { describeRedisError, redisReply } from '../../../../shared/redis/errors.ts';

/** Keys that the probe writes expire after this time. */
const TTL_S = '5';
const APPS_PROBED_MAX = 20;

/** A command that Redis rejected, and what it was for. */
export interface Rejected {
  readonly command: string;
  /** The key or channel. */
  readonly name: string;
  readonly reply: string;
  readonly purpose: string;
  /** Whether gusher serves clients without it. */
  readonly isOptional: boolean;
}

interface Probe {
  readonly command: readonly [name: string, ...args: string[]];
  readonly purpose: string;
  readonly isOptional?: boolean;
}

/** Executes each command that gusher needs on names of its own that nothing else uses. */
export async function probeCommands(
  client: Redis,
  prefix: string,
  appKeys: readonly string[],
): Promise<Rejected[]> {
  const rejected: Rejected[] = [];
  const names = appKeys.slice(0, APPS_PROBED_MAX);
  for (const { command, purpose, isOptional = false } of probesOf(prefix, names)) {
    const [name, ...args] = command;
    // ioredis recognizes subscriptions by their name in lower case.
    const error = await client.call(name.toLowerCase(), ...args).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    if (error === undefined) continue;
    const subject = name === 'EVAL' ? (args[2] ?? '') : (args[0] ?? '');
    rejected.push({
      command: name,
      name: subject,
      reply: redisReply(error) ?? describeRedisError(error),
      purpose,
      isOptional,
    });
  }
  return rejected;
}

function probesOf(prefix: string, appKeys: readonly string[]): Probe[] {
  const host = `${prefix}gusher:host:doctor`;
  const last = `${prefix}gusher:last:doctor`;
  const channels = appKeys.map((key) => `${prefix}${key}@gusher-doctor`);
  return [
    { command: ['HMGET', `${prefix}gusher-doctor`, 'url'], purpose: 'apps' },
    { command: ['SCAN', '0', 'COUNT', '1'], purpose: 'apps' },
    { command: ['SET', host, '1', 'EX', TTL_S], purpose: 'presence' },
    { command: ['GET', host], purpose: 'presence' },
    { command: ['EXISTS', host], purpose: 'presence' },
    { command: ['EXPIRE', host, TTL_S], purpose: 'presence' },
    { command: ['UNLINK', host], purpose: 'presence' },
    { command: ['HSET', host, 'a', '1'], purpose: 'presence' },
    { command: ['HSCAN', host, '0'], purpose: 'presence' },
    { command: ['HDEL', host, 'a'], purpose: 'presence' },
    { command: ['SET', last, '1', 'EX', TTL_S], purpose: 'cache channels' },
    { command: ['PTTL', last], purpose: 'cache channels' },
    { command: ['SET', `${prefix}gusher:health`, '1', 'EX', TTL_S], purpose: 'readiness' },
    { command: ['ROLE'], purpose: 'recognition of replicas', isOptional: true },
    {
      command: ['PUBLISH', `${prefix}gusher:echo:doctor`, '1'],
      purpose: 'the latency of publications',
      isOptional: true,
    },
    // Not a message of gusher, which ignores what it cannot parse; nothing else may be sent to these names.
    ...channels.map((name): Probe => ({ command: ['PUBLISH', name, ''], purpose: 'messages' })),
    ...appKeys.map(
      (key): Probe => ({
        command: ['EVAL', "return redis.call('LLEN', KEYS[1])", '1', `${prefix}${key}@gusher-doctor`],
        purpose: 'gusher.remote',
        isOptional: true,
      }),
    ),
    { command: ['SUBSCRIBE', `${prefix}gusher:control`], purpose: 'messages to users and sockets' },
    { command: ['SUBSCRIBE', `${prefix}gusher:presence`], purpose: 'presence of other hosts' },
    { command: ['SUBSCRIBE', `${prefix}gusher:backpush`], purpose: 'messages', isOptional: true },
    { command: ['PSUBSCRIBE', `${prefix}gusher:backpush:*`], purpose: 'messages', isOptional: true },
    {
      command: ['SUBSCRIBE', `${prefix}gusher:echo:doctor`],
      purpose: 'the latency of publications',
      isOptional: true,
    },
    ...channels.map((name): Probe => ({ command: ['SUBSCRIBE', name], purpose: 'messages' })),
  ];
}
