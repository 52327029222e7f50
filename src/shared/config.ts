import { availableParallelism } from 'node:os';
import { type Address, formatAddress, isLoopback, parseAddress } from './address.ts';

/** One setting: the only place where its names, unit, default, bounds and reason stand. */
export interface Setting<T> {
  readonly env: string;
  /** Flag of `gusher start`, without the dashes; absent where the value is a secret (flags show in `ps`). */
  readonly flag?: string;
  /** Older environment names that mean the same. */
  readonly aliases?: readonly string[];
  readonly unit?: string;
  /** The default as it would be typed; empty where the setting is off or computed by default. */
  readonly example: string;
  readonly about: string;
  readonly secret?: true;
  readonly fallback: T;
  /** Throws an `Error` saying what was expected. */
  readonly parse: (text: string) => T;
}

type Naming = Omit<Setting<unknown>, 'fallback' | 'parse' | 'example'>;

function address(naming: Naming & { fallback: string }): Setting<Address> {
  return {
    ...naming,
    example: naming.fallback,
    fallback: parseAddress(naming.fallback),
    parse: parseAddress,
  };
}

function integer(naming: Naming & { fallback: number; least: number; most: number }): Setting<number> {
  const { least, most, ...rest } = naming;
  return {
    ...rest,
    example: String(naming.fallback),
    parse(text) {
      const value = Number(text);
      if (!/^\d+$/.test(text) || value < least || value > most) {
        throw new Error(`must be a whole number from ${least} to ${most}`);
      }
      return value;
    },
  };
}

function flag(naming: Naming & { fallback: boolean }): Setting<boolean> {
  return {
    ...naming,
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

function text(naming: Naming & { fallback: string }): Setting<string> {
  return { ...naming, example: naming.fallback, parse: (value) => value };
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
    about: 'where clients connect; unset and with no app and no Redis, gusher stays on 127.0.0.1 (demo)',
  }),
  apiListen: address({
    env: 'GUSHER_API_LISTEN',
    flag: 'api-listen',
    fallback: '127.0.0.1:8001',
    about: 'where backends publish and operators look; any address but loopback needs GUSHER_API_TOKEN',
  }),
  apiToken: optionalText({
    env: 'GUSHER_API_TOKEN',
    secret: true,
    about: 'bearer token that every request to the API must present',
    check: atLeast16,
  }),
  workers: integer({
    env: 'GUSHER_WORKERS',
    flag: 'workers',
    fallback: availableParallelism(),
    least: 1,
    most: 1024,
    about: 'how many workers serve clients; by default one per CPU',
  }),
  redisUrl: optionalText({
    env: 'GUSHER_REDIS_URL',
    flag: 'redis-url',
    aliases: ['REDIS_ADDR'],
    about: 'redis://, rediss:// or unix:// (host:port is understood too); unset: the embedded broker',
    secret: true,
    check: redisUrl,
  }),
  redisPrefix: text({
    env: 'GUSHER_REDIS_PREFIX',
    flag: 'redis-prefix',
    fallback: '',
    about: 'put before every key and channel name in Redis, so that several installations can share it',
  }),
  appsFile: text({
    env: 'GUSHER_APPS_FILE',
    flag: 'apps-file',
    fallback: 'gusher-apps.json',
    about: 'where apps are registered when there is no Redis',
  }),
  logLevel: oneOf({
    env: 'GUSHER_LOG_LEVEL',
    flag: 'log-level',
    fallback: 'info',
    values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    about: 'trace, debug, info, warn, error, fatal or silent',
  }),
  greetingDeadlineMs: integer({
    env: 'GUSHER_GREETING_DEADLINE_MS',
    unit: 'ms',
    fallback: 5_000,
    least: 100,
    most: 600_000,
    about: 'how long a new socket may take to send a whole request head',
  }),
  greetingMaxSockets: integer({
    env: 'GUSHER_GREETING_MAX_SOCKETS',
    unit: 'sockets',
    fallback: 4_096,
    least: 16,
    most: 1_000_000,
    about: 'how many sockets may wait at the front door; beyond it the one that waited longest is closed',
  }),
  headMaxBytes: integer({
    env: 'GUSHER_HEAD_MAX_BYTES',
    unit: 'bytes',
    fallback: 8 * KIBIBYTE,
    least: 512,
    most: 16 * KIBIBYTE,
    about: 'longest request head on the public port',
  }),
  frameMaxBytes: integer({
    env: 'GUSHER_FRAME_MAX_BYTES',
    unit: 'bytes',
    fallback: 64 * KIBIBYTE,
    least: 128,
    most: 64 * MEBIBYTE,
    about: 'longest message taken from a client; beyond it the client is closed with 1009',
  }),
  bodyMaxBytes: integer({
    env: 'GUSHER_BODY_MAX_BYTES',
    unit: 'bytes',
    fallback: MEBIBYTE,
    least: KIBIBYTE,
    most: 64 * MEBIBYTE,
    about: 'longest body of an API request, and longest publication taken from Redis',
  }),
  outboxMaxBytes: integer({
    env: 'GUSHER_OUTBOX_MAX_BYTES',
    unit: 'bytes',
    fallback: 4 * MEBIBYTE,
    least: 16 * KIBIBYTE,
    most: 1024 * MEBIBYTE,
    about: 'how many bytes may wait unsent for one client before it is closed as too slow',
  }),
  subscriptionsMax: integer({
    env: 'GUSHER_SUBSCRIPTIONS_MAX',
    unit: 'channels',
    fallback: 1_000,
    least: 1,
    most: 1_000_000,
    about: 'how many channels one client may be subscribed to',
  }),
  commandsPerSecond: integer({
    env: 'GUSHER_COMMANDS_PER_SECOND',
    unit: 'commands/s',
    fallback: 1_000,
    least: 1,
    most: 1_000_000,
    about:
      'how many commands are taken from one client in a second; the rest wait in its socket, none is lost',
  }),
  faultsPerMinute: integer({
    env: 'GUSHER_FAULTS_PER_MINUTE',
    unit: 'faults/min',
    fallback: 20,
    least: 1,
    most: 1_000_000,
    about: 'how many malformed or unknown commands a client may send in a minute before it is closed',
  }),
  heartbeatIntervalMs: integer({
    env: 'GUSHER_HEARTBEAT_INTERVAL_MS',
    unit: 'ms',
    fallback: 25_000,
    least: 100,
    most: 3_600_000,
    about: 'a client silent for this long is pinged, one silent for twice as long is closed',
  }),
  webhookDeadlineMs: integer({
    env: 'GUSHER_WEBHOOK_DEADLINE_MS',
    unit: 'ms',
    fallback: 10_000,
    least: 100,
    most: 120_000,
    about: 'how long an auth webhook may take to answer',
  }),
  webhookMaxInFlight: integer({
    env: 'GUSHER_WEBHOOK_MAX_IN_FLIGHT',
    unit: 'calls',
    fallback: 64,
    least: 1,
    most: 10_000,
    about: 'how many auth webhook calls each worker makes at once; ten times as many may wait',
  }),
  compression: flag({
    env: 'GUSHER_COMPRESSION',
    flag: 'compression',
    fallback: false,
    about: 'offer permessage-deflate: less traffic, about 250 KB more memory per client and no shared frames',
  }),
  stuckAfterMs: integer({
    env: 'GUSHER_STUCK_AFTER_MS',
    unit: 'ms',
    fallback: 5_000,
    least: 500,
    most: 600_000,
    about: 'a worker whose event loop gives no sign for this long is killed and replaced',
  }),
  shutdownDeadlineMs: integer({
    env: 'GUSHER_SHUTDOWN_DEADLINE_MS',
    unit: 'ms',
    fallback: 30_000,
    least: 500,
    most: 3_600_000,
    about: 'how long a graceful stop may take before the workers are killed and gusher exits with 1',
  }),
  drainPerSecond: integer({
    env: 'GUSHER_DRAIN_PER_SECOND',
    unit: 'clients/s',
    fallback: 500,
    least: 1,
    most: 1_000_000,
    about:
      'how many clients each worker closes per second while it drains (faster where the deadline demands)',
  }),
} satisfies Record<string, Setting<never> | Setting<unknown>>;

/** The values that gusher runs with. Plain data: they travel to the workers as they are. */
export type Settings = {
  readonly [Name in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[Name]['parse']>;
};

export type SettingName = keyof Settings;

/** Where values come from, strongest first: flags by setting name, the environment, the `.env` file. */
export interface SettingSources {
  readonly flags?: Readonly<Record<string, string | undefined>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly file?: Readonly<Record<string, string | undefined>>;
}

export type Resolution =
  | { readonly settings: Settings; readonly given: ReadonlySet<SettingName> }
  | { readonly faults: readonly string[] };

/**
 * Resolves every setting: flag > environment > `.env` file > default; in each source the `GUSHER_` name wins
 * over an alias, and an empty value counts as unset. All faults are returned together, each beginning with
 * the name under which the value was given; no fault repeats the value of a secret.
 */
export function resolveSettings(sources: SettingSources): Resolution {
  const faults: string[] = [];
  const given = new Set<SettingName>();
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(SETTINGS) as [SettingName, Setting<unknown>][]) {
    const found = lookUp(name, setting, sources);
    values[name] = setting.fallback;
    if (found === undefined) continue;
    try {
      values[name] = setting.parse(found.text);
      given.add(name);
    } catch (error) {
      const shown = setting.secret ? '' : ` (got "${found.text}")`;
      faults.push(`${found.origin} ${(error as Error).message}${shown}`);
    }
  }
  const settings = values as unknown as Settings;
  faults.push(...crossFaults(settings));
  return faults.length > 0 ? { faults } : { settings, given };
}

function lookUp(name: string, setting: Setting<unknown>, { flags, environment, file }: SettingSources) {
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

/** Faults that no value has alone. */
function crossFaults(settings: Settings): string[] {
  const faults: string[] = [];
  if (!isLoopback(settings.apiListen) && settings.apiToken === undefined) {
    const where = formatAddress(settings.apiListen);
    faults.push(`GUSHER_API_TOKEN must be set when the API listens beyond loopback (${where})`);
  }
  if (settings.outboxMaxBytes < 2 * settings.bodyMaxBytes) {
    faults.push('GUSHER_OUTBOX_MAX_BYTES must be at least twice GUSHER_BODY_MAX_BYTES');
  }
  const { listen, apiListen } = settings;
  if (listen.port !== 0 && listen.port === apiListen.port && sameInterface(listen, apiListen)) {
    faults.push('GUSHER_API_LISTEN must not be the address of GUSHER_LISTEN');
  }
  return faults;
}

function sameInterface(one: Address, other: Address): boolean {
  return one.host === other.host || one.host === undefined || other.host === undefined;
}

function atLeast16(value: string): void {
  if (value.length < 16) throw new Error('must have at least 16 characters');
}

function redisUrl(value: string): void {
  if (/^[^\s:/]+:\d{1,5}$/.test(value)) return;
  if (/^(rediss?|unix):\/\/\S+$/.test(value) && URL.canParse(value)) return;
  throw new Error('must be redis://, rediss:// or unix:// and a place, or host:port');
}
