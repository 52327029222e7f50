import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { publicKeyOf } from '../crypto/public-key.ts';
import { type Address, formatAddress, isEveryInterface, isLoopback, parseAddress } from '../net/address.ts';
import { parseNetworks } from '../net/client-address.ts';
import { parseRedisAddress } from '../redis/redis-url.ts';

/** One setting: the only place where its names, unit, default, bounds and reason stand. */
export interface Setting<T> {
  readonly env: string;
  /** Flag of `gusher start`, without the dashes. */
  readonly flag?: string;
  /** Older environment names that mean the same. */
  readonly aliases?: readonly string[];
  readonly unit?: string;
  /** The values that are taken, where they can be told in a few words. */
  readonly allowed?: string;
  /** The default as it would be typed; empty where the setting is off by default. */
  readonly example: string;
  /** What the default is, where it depends on the machine. */
  readonly computed?: string;
  readonly about: string;
  /** The value is in no log and no error. */
  readonly secret?: true;
  readonly fallback: T;
  /** Throws an `Error` saying what was expected. */
  readonly parse: (text: string) => T;
}

type Naming = Omit<Setting<unknown>, 'fallback' | 'parse' | 'example' | 'allowed'>;

function address(naming: Naming & { fallback: string }): Setting<Address> {
  return {
    ...naming,
    example: naming.fallback,
    fallback: parseAddress(naming.fallback),
    parse: parseAddress,
  };
}

function integer(naming: Naming & { fallback: number; min: number; max: number }): Setting<number> {
  const { min, max, ...rest } = naming;
  return {
    ...rest,
    allowed: `${min} to ${max}`,
    example: naming.computed === undefined ? String(naming.fallback) : '',
    parse(text) {
      const value = Number(text);
      if (!/^\d+$/.test(text) || value < min || value > max) {
        throw new Error(`must be a whole number from ${min} to ${max}`);
      }
      return value;
    },
  };
}

function flag(naming: Naming & { fallback: boolean }): Setting<boolean> {
  return {
    ...naming,
    allowed: 'true, false',
    example: String(naming.fallback),
    parse(text) {
      if (text === 'true' || text === '1') return true;
      if (text === 'false' || text === '0') return false;
      throw new Error('must be true or false');
    },
  };
}

function oneOf<const T extends string>(
  naming: Naming & { fallback: NoInfer<T>; values: readonly T[] },
): Setting<T> {
  const { values, ...rest } = naming;
  return {
    ...rest,
    allowed: values.join(', '),
    example: naming.fallback,
    parse(text) {
      const value = values.find((candidate) => candidate === text);
      if (value === undefined) throw new Error(`must be one of ${values.join(', ')}`);
      return value;
    },
  };
}

function optionalText(naming: Naming & { check?: (text: string) => void }): Setting<string | undefined> {
  const { check, ...rest } = naming;
  return {
    ...rest,
    example: '',
    fallback: undefined,
    parse(text) {
      check?.(text);
      return text;
    },
  };
}

function text(naming: Naming & { fallback: string; check?: (text: string) => void }): Setting<string> {
  const { check, ...rest } = naming;
  return {
    ...rest,
    example: naming.fallback,
    parse(value) {
      check?.(value);
      return value;
    },
  };
}

/** The value is the text in the file: it travels to the workers, the file need not. */
function publicKeyFile(naming: Naming): Setting<string | undefined> {
  return {
    ...naming,
    example: '',
    fallback: undefined,
    parse(path) {
      const pem = readText(path);
      if (publicKeyOf(pem) === undefined) throw new Error('must be a file with a public key in PEM');
      return pem;
    },
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`must be a file that can be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

/** Every setting of gusher, in the order in which the documents list them. */
export const SETTINGS = {
  listen: address({
    env: 'GUSHER_LISTEN',
    flag: 'listen',
    aliases: ['PUBLIC_API_ADDR'],
    fallback: ':8000',
    about: 'Address for client connections. In demo mode (no apps, no Redis) it defaults to 127.0.0.1:8000',
  }),
  apiListen: address({
    env: 'GUSHER_API_LISTEN',
    flag: 'api-listen',
    fallback: '127.0.0.1:8001',
    about: 'Address of the HTTP API. Any address other than loopback requires GUSHER_API_TOKEN',
  }),
  apiToken: optionalText({
    env: 'GUSHER_API_TOKEN',
    secret: true,
    about: 'Bearer token required on every API request',
    check: apiToken,
  }),
  workers: integer({
    env: 'GUSHER_WORKERS',
    flag: 'workers',
    fallback: availableParallelism(),
    computed: 'one per CPU',
    min: 1,
    max: 1024,
    about: 'Number of worker processes',
  }),
  redisUrl: optionalText({
    env: 'GUSHER_REDIS_URL',
    flag: 'redis-url',
    aliases: ['REDIS_ADDR'],
    about:
      'Redis to connect to: redis://…, rediss://…, unix:///path, host:port or redis-sentinel://host:port,host:port/master. Unset: the embedded broker is used',
    secret: true,
    check: parseRedisAddress,
  }),
  redisPrefix: text({
    env: 'GUSHER_REDIS_PREFIX',
    flag: 'redis-prefix',
    fallback: '',
    about: 'Prefix for all Redis keys and channels, so that several installations can share one Redis',
  }),
  appsFile: text({
    env: 'GUSHER_APPS_FILE',
    flag: 'apps-file',
    fallback: 'gusher-apps.json',
    about: 'File that stores apps when Redis is not used',
  }),
  logLevel: oneOf({
    env: 'GUSHER_LOG_LEVEL',
    flag: 'log-level',
    fallback: 'info',
    values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    about: 'Minimum log level',
  }),
  logFormat: oneOf({
    env: 'GUSHER_LOG_FORMAT',
    flag: 'log-format',
    fallback: 'auto',
    values: ['auto', 'json', 'text'],
    about: 'format of log lines; auto: text on a terminal, JSON elsewhere',
  }),
  headersTimeoutMs: integer({
    env: 'GUSHER_HEADERS_TIMEOUT_MS',
    unit: 'ms',
    fallback: 5_000,
    min: 100,
    max: 600_000,
    about: 'Time allowed for a new socket to send its request headers',
  }),
  pendingSocketsMax: integer({
    env: 'GUSHER_PENDING_SOCKETS_MAX',
    unit: 'sockets',
    fallback: 8_192,
    min: 16,
    max: 1_000_000,
    about:
      'Maximum sockets that have not sent their headers yet (lowered automatically to a third of the file-descriptor limit). When full, the oldest is closed',
  }),
  addressConnectsPerSecond: integer({
    env: 'GUSHER_ADDRESS_CONNECTS_PER_SECOND',
    unit: 'requests/s',
    fallback: 2_000,
    min: 1,
    max: 10_000_000,
    about:
      'how many requests one client address (IPv6: a /64) may begin on the public port in a second; the rest gets 429. ' +
      'Not counted: loopback, private networks and GUSHER_TRUSTED_PROXIES, where the address is that of a proxy',
  }),
  trustedProxies: text({
    env: 'GUSHER_TRUSTED_PROXIES',
    fallback: '',
    about:
      'networks of proxies, between commas (10.0.0.0/8, 2001:db8::/32), whose X-Forwarded-For or Forwarded names the client',
    check: parseNetworks,
  }),
  headersMaxBytes: integer({
    env: 'GUSHER_HEADERS_MAX_BYTES',
    unit: 'bytes',
    fallback: 8 * KIBIBYTE,
    min: 512,
    max: 16 * KIBIBYTE,
    about: 'Maximum size of the request headers on the public port',
  }),
  messageMaxBytes: integer({
    env: 'GUSHER_MESSAGE_MAX_BYTES',
    unit: 'bytes',
    fallback: 64 * KIBIBYTE,
    min: 128,
    max: 64 * MEBIBYTE,
    about: 'Maximum size of a client message; larger messages close the connection with 1009',
  }),
  bodyMaxBytes: integer({
    env: 'GUSHER_BODY_MAX_BYTES',
    unit: 'bytes',
    fallback: MEBIBYTE,
    min: KIBIBYTE,
    max: 64 * MEBIBYTE,
    about: 'Maximum size of an API request body and of a message received from Redis',
  }),
  sendBufferMaxBytes: integer({
    env: 'GUSHER_SEND_BUFFER_MAX_BYTES',
    unit: 'bytes',
    fallback: 4 * MEBIBYTE,
    min: 16 * KIBIBYTE,
    max: 1024 * MEBIBYTE,
    about: 'Maximum unsent bytes per client before it is closed as too slow',
  }),
  subscriptionsMax: integer({
    env: 'GUSHER_SUBSCRIPTIONS_MAX',
    unit: 'channels',
    fallback: 1_000,
    min: 1,
    max: 1_000_000,
    about: 'Maximum channels per client',
  }),
  namesMaxBytes: integer({
    env: 'GUSHER_NAMES_MAX_BYTES',
    unit: 'bytes',
    fallback: Math.floor(getHeapStatistics().heap_size_limit / 2),
    computed: 'half of the heap that the primary may use',
    min: MEBIBYTE,
    max: 1024 * 1024 * MEBIBYTE,
    about:
      'how much memory the names of channels and users of all clients together may take in the primary; ' +
      'beyond it clients can join no channel that is new on their worker (host_full)',
  }),
  commandsPerSecond: integer({
    env: 'GUSHER_COMMANDS_PER_SECOND',
    unit: 'commands/s',
    fallback: 1_000,
    min: 1,
    max: 1_000_000,
    about: 'Commands processed per client per second; excess commands are delayed, not dropped',
  }),
  framesPerSecond: integer({
    env: 'GUSHER_FRAMES_PER_SECOND',
    unit: 'frames/s',
    fallback: 1_000,
    min: 1,
    max: 1_000_000,
    about:
      'how many pings, pongs and fragments of messages are read from one client in a second, beside its commands; ' +
      'the rest waits in its socket, and each such second counts as a fault',
  }),
  protocolErrorsPerMinute: integer({
    env: 'GUSHER_PROTOCOL_ERRORS_PER_MINUTE',
    unit: 'errors/min',
    fallback: 20,
    min: 1,
    max: 1_000_000,
    about: 'Invalid commands allowed per client per minute before it is closed',
  }),
  heartbeatIntervalMs: integer({
    env: 'GUSHER_HEARTBEAT_INTERVAL_MS',
    unit: 'ms',
    fallback: 25_000,
    min: 100,
    max: 3_600_000,
    about: 'Interval without traffic after which a client is pinged; after two intervals it is closed',
  }),
  authWebhookTimeoutMs: integer({
    env: 'GUSHER_AUTH_WEBHOOK_TIMEOUT_MS',
    unit: 'ms',
    fallback: 10_000,
    min: 100,
    max: 120_000,
    about: 'Timeout of an auth webhook call',
  }),
  authWebhookMaxInFlight: integer({
    env: 'GUSHER_AUTH_WEBHOOK_MAX_IN_FLIGHT',
    unit: 'calls',
    fallback: 64,
    min: 1,
    max: 10_000,
    about: 'Concurrent auth webhook calls per worker; up to ten times as many are queued',
  }),
  webhookTotalMaxInFlight: integer({
    env: 'GUSHER_WEBHOOK_TOTAL_MAX_IN_FLIGHT',
    unit: 'calls',
    fallback: 1_024,
    min: 1,
    max: 100_000,
    about:
      'Auth webhook calls, and remote_url calls, that each worker makes at once for all apps. One app uses at most as many as are still free.',
  }),
  jwtPublicKey: publicKeyFile({
    env: 'GUSHER_JWT_PUBLIC_KEY_FILE',
    aliases: ['GUSHER_PUBLIC_PEM_FILE'],
    about:
      'Public key (PEM) that verifies tokens of apps without a key of their own. When set, apps need not be registered for clients with a token',
  }),
  tokenClockSkewMs: integer({
    env: 'GUSHER_TOKEN_CLOCK_SKEW_MS',
    unit: 'ms',
    fallback: 5_000,
    min: 0,
    max: 600_000,
    about: 'Clock skew tolerated when verifying tokens',
  }),
  tokenRefreshGraceMs: integer({
    env: 'GUSHER_TOKEN_REFRESH_GRACE_MS',
    unit: 'ms',
    fallback: 10_000,
    min: 0,
    max: 3_600_000,
    about: 'Time a client has to send a new token (gusher.refresh) after its token expires',
  }),
  clientEventsPerSecond: integer({
    env: 'GUSHER_CLIENT_EVENTS_PER_SECOND',
    unit: 'events/s',
    fallback: 10,
    min: 1,
    max: 100_000,
    about: 'Client events accepted per client per second',
  }),
  remoteListMaxLength: integer({
    env: 'GUSHER_REMOTE_LIST_MAX_LENGTH',
    unit: 'jobs',
    fallback: 10_000,
    min: 1,
    max: 100_000_000,
    about: 'Maximum jobs in one Redis list (gusher.remote); further jobs are rejected',
  }),
  compression: flag({
    env: 'GUSHER_COMPRESSION',
    flag: 'compression',
    fallback: false,
    about:
      'Negotiate permessage-deflate. Saves bandwidth, costs about 250 KB of memory per client, and disables shared frames',
  }),
  pusherPathPrefix: text({
    env: 'GUSHER_PUSHER_PATH_PREFIX',
    fallback: '',
    about: 'Optional prefix accepted before /app and /apps',
    check: pathPrefix,
  }),
  batchWindowMs: integer({
    env: 'GUSHER_BATCH_WINDOW_MS',
    unit: 'ms',
    fallback: 0,
    min: 0,
    max: 1_000,
    about: 'Time to wait for more messages before writing to clients. 0 writes once per event-loop tick',
  }),
  pusherStrictProtocol: flag({
    env: 'GUSHER_PUSHER_STRICT_PROTOCOL',
    fallback: false,
    about: 'Reject Pusher clients that do not send a protocol version (4008)',
  }),
  pusherActivityTimeoutS: integer({
    env: 'GUSHER_PUSHER_ACTIVITY_TIMEOUT_S',
    unit: 's',
    fallback: 120,
    min: 5,
    max: 3_600,
    about: 'Idle time after which Pusher clients send a ping',
  }),
  pusherConnectsPerSecond: integer({
    env: 'GUSHER_PUSHER_CONNECTS_PER_SECOND',
    unit: 'clients/s',
    fallback: 1_000,
    min: 1,
    max: 1_000_000,
    about: 'Pusher connections admitted per second, all workers together; others are queued',
  }),
  pusherAdmissionTimeoutMs: integer({
    env: 'GUSHER_PUSHER_ADMISSION_TIMEOUT_MS',
    unit: 'ms',
    fallback: 13_000,
    min: 100,
    max: 60_000,
    about:
      "Maximum time a Pusher client waits for admission; clients beyond that are rejected with 4100. Must stay below pusher-js's 15 s",
  }),
  pusherAdmissionQueueMax: integer({
    env: 'GUSHER_PUSHER_ADMISSION_QUEUE_MAX',
    unit: 'clients',
    fallback: 20_000,
    min: 1,
    max: 10_000_000,
    about: 'Maximum Pusher clients in the admission queue',
  }),
  pusherAuthorizationTimeoutMs: integer({
    env: 'GUSHER_PUSHER_AUTHORIZATION_TIMEOUT_MS',
    unit: 'ms',
    fallback: 30_000,
    min: 100,
    max: 600_000,
    about:
      'Time a Pusher client has to sign in or join a private or presence channel (apps with authorized_only)',
  }),
  pusherIdleTimeoutMs: integer({
    env: 'GUSHER_PUSHER_IDLE_TIMEOUT_MS',
    unit: 'ms',
    fallback: 86_400_000,
    min: 1_000,
    max: 2_147_483_647,
    about: 'Idle time after which a Pusher client is asked to reconnect (4202), even if it answers pings',
  }),
  pusherPresenceJoinsPerSecond: integer({
    env: 'GUSHER_PUSHER_PRESENCE_JOINS_PER_SECOND',
    unit: 'joins/s',
    fallback: 5,
    min: 1,
    max: 1_000_000,
    about:
      'how many presence channels one client may join in a second, again and again; 100 joins are saved up for a client that connects, and the rest waits',
  }),
  pusherPresenceChannelJoinsPerSecond: integer({
    env: 'GUSHER_PUSHER_PRESENCE_CHANNEL_JOINS_PER_SECOND',
    unit: 'joins/s',
    fallback: 200,
    min: 1,
    max: 1_000_000,
    about:
      'how many joins of one presence channel each worker takes in a second; 10,000 are saved up, the rest waits for up to 5 s and is then refused (too_many_joins)',
  }),
  pusherPresenceMembersMax: integer({
    env: 'GUSHER_PUSHER_PRESENCE_MEMBERS_MAX',
    unit: 'users',
    fallback: 100,
    min: 1,
    max: 10_000,
    about: 'Default maximum members of a presence channel',
  }),
  pusherMemberInfoMaxBytes: integer({
    env: 'GUSHER_PUSHER_MEMBER_INFO_MAX_BYTES',
    unit: 'bytes',
    fallback: 2 * KIBIBYTE,
    min: 0,
    max: 64 * KIBIBYTE,
    about: 'Maximum size of user_info',
  }),
  pusherEventMaxBytes: integer({
    env: 'GUSHER_PUSHER_EVENT_MAX_BYTES',
    unit: 'bytes',
    fallback: 10 * KIBIBYTE,
    min: KIBIBYTE,
    max: 64 * MEBIBYTE,
    about: 'Maximum data size of one event',
  }),
  pusherEventChannelsMax: integer({
    env: 'GUSHER_PUSHER_EVENT_CHANNELS_MAX',
    unit: 'channels',
    fallback: 100,
    min: 1,
    max: 10_000,
    about: 'Maximum channels per event',
  }),
  pusherBatchMaxEvents: integer({
    env: 'GUSHER_PUSHER_BATCH_MAX_EVENTS',
    unit: 'events',
    fallback: 10,
    min: 1,
    max: 10_000,
    about: 'Maximum events per batch',
  }),
  eventWebhookTimeoutMs: integer({
    env: 'GUSHER_EVENT_WEBHOOK_TIMEOUT_MS',
    unit: 'ms',
    fallback: 10_000,
    min: 100,
    max: 120_000,
    about: 'Timeout of an event webhook (webhook_url) call',
  }),
  eventWebhookGraceMs: integer({
    env: 'GUSHER_EVENT_WEBHOOK_GRACE_MS',
    unit: 'ms',
    fallback: 3_000,
    min: 0,
    max: 60_000,
    about: 'A member or channel that returns within this time is not reported as removed or vacated',
  }),
  eventWebhookAllowPrivate: flag({
    env: 'GUSHER_EVENT_WEBHOOK_ALLOW_PRIVATE',
    fallback: false,
    about: 'Allow event webhooks to private addresses (loopback, 10.0.0.0/8, fc00::/7, …)',
  }),
  directWrites: flag({
    env: 'GUSHER_DIRECT_WRITES',
    fallback: true,
    about:
      'Write to sockets below the stream layer when a startup probe shows that it works; same bytes, less CPU',
  }),
  workerLivenessTimeoutMs: integer({
    env: 'GUSHER_WORKER_LIVENESS_TIMEOUT_MS',
    unit: 'ms',
    fallback: 5_000,
    // Less than a few beats of a worker would be the end of healthy ones.
    min: 2_000,
    max: 600_000,
    about: 'Time without a heartbeat after which a worker is killed and replaced',
  }),
  shutdownTimeoutMs: integer({
    env: 'GUSHER_SHUTDOWN_TIMEOUT_MS',
    unit: 'ms',
    fallback: 30_000,
    min: 500,
    max: 3_600_000,
    about: 'Time allowed for a graceful shutdown; after it workers are killed and gusher exits with 1',
  }),
  drainClientsPerSecond: integer({
    env: 'GUSHER_DRAIN_CLIENTS_PER_SECOND',
    unit: 'clients/s',
    fallback: 500,
    min: 1,
    max: 1_000_000,
    about: 'Clients closed per second by each draining worker (more if the timeout requires it)',
  }),
} satisfies Record<string, Setting<never> | Setting<unknown>>;

/** The values that gusher runs with. Plain data: they travel to the workers as they are. */
export type Settings = {
  readonly [Name in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[Name]['parse']>;
};

export type SettingName = keyof Settings;

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** The definition of a setting, whatever its values are. */
export function settingOf(name: SettingName): Setting<unknown> {
  return SETTINGS[name];
}

/** Where values come from, strongest first: flags by setting name, the environment, the `.env` file. */
export interface SettingSources {
  readonly flags?: Readonly<Record<string, string | undefined>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly file?: Readonly<Record<string, string | undefined>>;
}

export type Resolution<Name extends SettingName = SettingName> =
  | { readonly settings: Pick<Settings, Name>; readonly given: ReadonlySet<SettingName> }
  | { readonly errors: readonly string[] };

/**
 * Resolves settings, all of them unless `names` says which: flag > environment > `.env` file > default. In each
 * source the `GUSHER_` name wins over an alias. Empty counts as unset, but as a fault in a flag. All faults are
 * returned together, each beginning with the name under which the value was given; no fault repeats the value
 * of a secret.
 */
export function resolveSettings(sources: SettingSources): Resolution;
export function resolveSettings<Name extends SettingName>(
  sources: SettingSources,
  names: readonly Name[],
): Resolution<Name>;
export function resolveSettings(
  sources: SettingSources,
  names: readonly SettingName[] = SETTING_NAMES,
): Resolution {
  const errors: string[] = [];
  const given = new Set<SettingName>();
  const sound: Partial<Record<SettingName, unknown>> = {};
  for (const name of names) {
    const setting = settingOf(name);
    const found = lookUp(name, setting, sources);
    try {
      sound[name] = found === undefined ? setting.fallback : parseFound(setting, found.text);
      if (found !== undefined) given.add(name);
    } catch (error) {
      const shown = setting.secret || found?.text === '' ? '' : ` (got "${found?.text}")`;
      errors.push(`${found?.origin} ${(error as Error).message}${shown}`);
    }
  }
  // A rule cannot judge values that are not there.
  const rules = RULES.filter((rule) => rule.names.every((name) => name in sound));
  errors.push(...rules.flatMap((rule) => rule.errorOf(sound as Settings) ?? []));
  return errors.length > 0 ? { errors } : { settings: sound as Settings, given };
}

function parseFound(setting: Setting<unknown>, text: string): unknown {
  if (text === '') throw new Error('must not be empty');
  return setting.parse(text);
}

function lookUp(name: SettingName, setting: Setting<unknown>, { flags, environment, file }: SettingSources) {
  const byFlag = flags?.[name];
  if (byFlag !== undefined) return { text: byFlag, origin: `--${setting.flag ?? name}` };
  for (const source of [environment, file]) {
    for (const key of [setting.env, ...(setting.aliases ?? [])]) {
      const text = source?.[key];
      if (text !== undefined && text !== '') return { text, origin: key };
    }
  }
  return undefined;
}

/** What no value can break alone. */
interface Rule {
  readonly names: readonly SettingName[];
  readonly errorOf: (settings: Settings) => string | undefined;
}

/** What a message or body has beside its data: names, punctuation, a signature. */
const AROUND_DATA_BYTES = 2 * KIBIBYTE;

const RULES: readonly Rule[] = [
  {
    names: ['pusherEventMaxBytes', 'messageMaxBytes', 'bodyMaxBytes'],
    errorOf: ({ pusherEventMaxBytes, messageMaxBytes, bodyMaxBytes }) => {
      const neededBytes = pusherEventMaxBytes + AROUND_DATA_BYTES;
      return Math.min(messageMaxBytes, bodyMaxBytes) < neededBytes
        ? `GUSHER_MESSAGE_MAX_BYTES and GUSHER_BODY_MAX_BYTES must be at least GUSHER_PUSHER_EVENT_MAX_BYTES + ${AROUND_DATA_BYTES} (${neededBytes})`
        : undefined;
    },
  },
  {
    names: ['pusherMemberInfoMaxBytes', 'messageMaxBytes'],
    errorOf: ({ pusherMemberInfoMaxBytes, messageMaxBytes }) => {
      // It comes as JSON in a string.
      const neededBytes = 2 * pusherMemberInfoMaxBytes + AROUND_DATA_BYTES;
      return messageMaxBytes < neededBytes
        ? `GUSHER_MESSAGE_MAX_BYTES must be at least 2 × GUSHER_PUSHER_MEMBER_INFO_MAX_BYTES + ${AROUND_DATA_BYTES} (${neededBytes})`
        : undefined;
    },
  },
  {
    names: ['sendBufferMaxBytes', 'messageMaxBytes'],
    errorOf: ({ sendBufferMaxBytes, messageMaxBytes }) =>
      sendBufferMaxBytes < 2 * messageMaxBytes
        ? 'GUSHER_SEND_BUFFER_MAX_BYTES must be at least twice GUSHER_MESSAGE_MAX_BYTES'
        : undefined,
  },
  {
    names: ['apiListen', 'apiToken'],
    errorOf: ({ apiListen, apiToken }) =>
      isLoopback(apiListen) || apiToken !== undefined
        ? undefined
        : `GUSHER_API_TOKEN must be set when the API listens beyond loopback (${formatAddress(apiListen)})`,
  },
  {
    names: ['sendBufferMaxBytes', 'bodyMaxBytes'],
    errorOf: ({ sendBufferMaxBytes, bodyMaxBytes }) =>
      sendBufferMaxBytes < 2 * bodyMaxBytes
        ? 'GUSHER_SEND_BUFFER_MAX_BYTES must be at least twice GUSHER_BODY_MAX_BYTES'
        : undefined,
  },
  {
    names: ['listen', 'apiListen'],
    errorOf: ({ listen, apiListen }) =>
      overlap(listen, apiListen) ? 'GUSHER_API_LISTEN must not be the address of GUSHER_LISTEN' : undefined,
  },
];

function overlap(one: Address, other: Address): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || isEveryInterface(one) || isEveryInterface(other);
}

/** It travels in an HTTP header. */
function apiToken(value: string): void {
  if (!/^[\x21-\x7e]{16,}$/.test(value)) {
    throw new Error('must have at least 16 characters, all of them ASCII and none a space');
  }
}

function pathPrefix(value: string): void {
  if (!/^(?:\/[A-Za-z0-9._~-]+)+$/.test(value)) {
    throw new Error('must be a path such as /pusher: no slash at its end, and no percent signs');
  }
}
