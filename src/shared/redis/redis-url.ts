import { type Address, parseAddress } from '../net/address.ts';

/** Redis itself; `url` is as ioredis understands it: `redis://`, `rediss://`, host and port, or the path of a socket. */
interface DirectAddress {
  readonly kind: 'direct';
  readonly url: string;
}

interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** The current master with the given name, as the Sentinels report it. */
export interface SentinelAddress {
  readonly kind: 'sentinel';
  readonly tls: boolean;
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  readonly name: string;
  readonly database: number;
  /** Credentials of the master. */
  readonly redis: Credentials;
  /** Credentials of the Sentinels. */
  readonly sentinel: Credentials;
}

export type RedisAddress = DirectAddress | SentinelAddress;

const EXPECTED =
  'must be redis://…, rediss://…, unix:///path, host:port or redis-sentinel://host:port,host:port/master';
const ENCODE_HINT =
  'in a user name or password, percent-encode special characters: # is %23, / is %2F, ? is %3F, @ is %40, % is %25';
/** Attack: ioredis accepts any option in the query, and it would override the options of gusher. */
const URL_PARAMETERS: readonly string[] = ['db'];
/** A socket path has no other place for credentials. */
const SOCKET_PARAMETERS: readonly string[] = ['db', 'username', 'password'];
const DATABASE = /^\d{1,5}$/;
const DATABASE_PATH = /^(?:\/(?:\d{1,5})?)?$/;
const SENTINEL_PORT = 26_379;
const SENTINEL =
  /^redis(s?)-sentinel:\/\/(?:([^@/?\s]*)@)?([^@/?\s]+)\/([\w.-]+)(?:\/(\d{1,5}))?(?:\?(\S*))?$/;
const SENTINEL_PARAMETERS = ['sentinel_username', 'sentinel_password'];

/**
 * Parses `GUSHER_REDIS_URL`. Sentinels have the form
 * `redis-sentinel://[[user]:password@]host[:port][,host[:port]…]/master[/database]`, with `rediss-sentinel` for TLS to all
 * of them; a password of their own follows as `?sentinel_password=`. Throws an `Error` that states
 * what is expected, without the input, which may contain a password.
 */
export function parseRedisAddress(text: string): RedisAddress {
  const address = readSentinels(text) ?? readDirect(text);
  if (address === undefined) throw new Error(needsEncoding(text) ? `${EXPECTED}; ${ENCODE_HINT}` : EXPECTED);
  return address;
}

/** True if the credentials contain a character that must be percent-encoded. */
function needsEncoding(text: string): boolean {
  const [, userInfo] = /^rediss?(?:-sentinel)?:\/\/(.*)@/s.exec(text) ?? [];
  return userInfo !== undefined && /[#/?@\s]|%(?![0-9a-f]{2})/i.test(userInfo);
}

/** True if a part of the credentials became a path, a query or a fragment. */
function isCut(text: string): boolean {
  return /^rediss?:\/\/.*[#/?].*@/s.test(text);
}

function readDirect(text: string): DirectAddress | undefined {
  if (/^unix:\/\/\/\S+$/.test(text)) {
    const [, query = ''] = text.split(/\?(.*)/s, 2);
    return checkParameters(new URLSearchParams(query), SOCKET_PARAMETERS)
      ? { kind: 'direct', url: text.slice('unix://'.length) }
      : undefined;
  }
  if (isRedisUrl(text)) return { kind: 'direct', url: text };
  if (readEndpoint(text) === undefined) return undefined;
  return { kind: 'direct', url: text.startsWith(':') ? `127.0.0.1${text}` : text };
}

function isRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\/\S+$/.test(text)) return false;
  let url: URL;
  try {
    url = new URL(text);
    decodeURIComponent(url.username + url.password);
  } catch {
    // Not a URL, or invalid percent-encoding in the credentials.
    return false;
  }
  // A # or ? in a password starts a fragment or a query.
  if (url.hash !== '' || isCut(text)) return false;
  return DATABASE_PATH.test(url.pathname) && checkParameters(url.searchParams, URL_PARAMETERS);
}

/** Returns false if the database is not a number. Throws an `Error` for unknown or repeated parameters. */
function checkParameters(parameters: URLSearchParams, known: readonly string[]): boolean {
  const names = [...parameters.keys()];
  for (const [index, name] of names.entries()) {
    const isNew = names.indexOf(name) === index;
    if (known.includes(name) && isNew) continue;
    // Shows only names that look like options, because others may be part of a password.
    const shown = /^[A-Za-z_]{1,40}$/.test(name) ? ` "${name}"` : '';
    const error = isNew ? `must not have the parameter${shown}` : `must have the parameter${shown} only once`;
    throw new Error(`${error}; allowed: ${known.join(', ')}`);
  }
  return DATABASE.test(parameters.get('db') ?? '0');
}

function readSentinels(text: string): SentinelAddress | undefined {
  const match = SENTINEL.exec(text);
  if (match === null) return undefined;
  const [, secure, userInfo = '', hosts = '', name = '', database = '0', query = ''] = match;
  const sentinels = hosts.split(',').map(readSentinel);
  const redis = readUserInfo(userInfo);
  const parameters = new URLSearchParams(query);
  if (![...parameters.keys()].every((key) => SENTINEL_PARAMETERS.includes(key))) return undefined;
  if (redis === undefined || !sentinels.every((one) => one !== undefined)) return undefined;
  return {
    kind: 'sentinel',
    tls: secure === 's',
    sentinels,
    name,
    database: Number(database),
    redis,
    sentinel: {
      username: parameters.get('sentinel_username') ?? undefined,
      password: parameters.get('sentinel_password') ?? undefined,
    },
  };
}

function readSentinel(text: string): SentinelAddress['sentinels'][number] | undefined {
  const hasPort = /:\d+$/.test(text.replace(/^\[.*\]$/, ''));
  const { host, port = 0 } = readEndpoint(hasPort ? text : `${text}:${SENTINEL_PORT}`) ?? {};
  return host === undefined ? undefined : { host, port };
}

/** Parses an address to connect to, which cannot have port 0. */
function readEndpoint(text: string): Address | undefined {
  try {
    const address = parseAddress(text);
    return address.port === 0 ? undefined : address;
  } catch {
    return undefined;
  }
}

function readUserInfo(text: string): Credentials | undefined {
  try {
    const [username = '', ...password] = text.split(':');
    return {
      username: decodeURIComponent(username) || undefined,
      password: decodeURIComponent(password.join(':')) || undefined,
    };
  } catch {
    // Invalid percent-encoding.
    return undefined;
  }
}
