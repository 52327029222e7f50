import { availableParallelism } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { MEMBER_INFO_MAX_BYTES } from '../model/presence.ts';
import { parseNetworks } from '../net/client-address.ts';
import { readCgroupLimits, usableCpus } from '../process/cgroup.ts';
import { parseRedisAddress } from '../redis/redis-url.ts';
import { address, flag, integer, oneOf, optionalText, publicKeyFile, type Setting, text } from './setting.ts';

export const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

/** Memory in the primary for a channel and for a user with short names. */
const CHANNEL_LEAST_BYTES = 1_200;
const SUBSCRIPTION_LEAST_BYTES = 400;

/** Every setting of gusher, in the order of the documents. */
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
    fallback: usableCpus(availableParallelism(), readCgroupLimits()),
    computed: 'one per CPU that the process may use (affinity, cgroup quota)',
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
    about: 'Format of log lines. auto writes text to a terminal and JSON elsewhere',
  }),
  metricsAppsMax: integer({
    env: 'GUSHER_METRICS_APPS_MAX',
    unit: 'apps',
    fallback: 0,
    min: 0,
    max: 1_000,
    about:
      'Apps with metrics of their own (gusher_app_…) at GET /metrics; the others are counted together as other. 0: none',
  }),
  tracing: oneOf({
    env: 'GUSHER_TRACING',
    fallback: 'off',
    values: ['off', 'on'],
    about:
      'Trace publications with the OpenTelemetry SDK that NODE_OPTIONS=--import loads; docs/tracing.md has an example',
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
      'Requests accepted per second on the public port from one client address (IPv6: /64 network); excess requests get 429. ' +
      'GUSHER_TRUSTED_PROXIES are exempt; loopback and private networks are exempt unless this is set, because their address is usually that of a proxy',
  }),
  addressConnectionsMax: integer({
    env: 'GUSHER_ADDRESS_CONNECTIONS_MAX',
    unit: 'connections',
    fallback: 10_000,
    min: 1,
    max: 10_000_000,
    about:
      'Maximum open connections of one client address on the public port, all workers together; further ones get 429. ' +
      'The exemptions are those of GUSHER_ADDRESS_CONNECTS_PER_SECOND',
  }),
  connectionRequestsPerSecond: integer({
    env: 'GUSHER_CONNECTION_REQUESTS_PER_SECOND',
    unit: 'requests/s',
    fallback: 200,
    min: 32,
    max: 1_000_000,
    about:
      'HTTP requests accepted per second on one connection of the public port; the next gets 429, and the connection is closed. ' +
      'Requests with a valid signature of the Pusher HTTP API are not counted',
  }),
  trustedProxies: text({
    env: 'GUSHER_TRUSTED_PROXIES',
    fallback: '',
    about:
      'Comma-separated networks of trusted proxies (10.0.0.0/8, 2001:db8::/32). Their X-Forwarded-For or Forwarded header names the client',
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
    computed: 'half of the heap limit of the primary',
    min: MEBIBYTE,
    max: 1024 * 1024 * MEBIBYTE,
    about:
      'Maximum memory in the primary for the names of channels and users of all clients. ' +
      'When full, subscriptions to channels that are new on a worker are rejected (host_full)',
  }),
  appNamesMaxBytes: integer({
    env: 'GUSHER_APP_NAMES_MAX_BYTES',
    unit: 'bytes',
    fallback: 0,
    derive: ({ namesMaxBytes }) => Math.floor(Number(namesMaxBytes) / 2),
    computed: 'half of GUSHER_NAMES_MAX_BYTES',
    min: KIBIBYTE,
    max: 1024 * 1024 * MEBIBYTE,
    about:
      'Maximum memory in the primary for the names of channels and users of one app, so that other apps keep a share (names_full)',
  }),
  appChannelsMax: integer({
    env: 'GUSHER_APP_CHANNELS_MAX',
    unit: 'channels',
    fallback: 0,
    derive: fillAppNames(CHANNEL_LEAST_BYTES),
    computed: 'fills GUSHER_APP_NAMES_MAX_BYTES',
    min: 1,
    max: 1_000_000_000,
    about: 'Maximum channels with a subscriber per app, unless the app has max_channels (channels_full)',
  }),
  appSubscriptionsMax: integer({
    env: 'GUSHER_APP_SUBSCRIPTIONS_MAX',
    unit: 'subscriptions',
    fallback: 0,
    derive: fillAppNames(SUBSCRIPTION_LEAST_BYTES),
    computed: 'fills GUSHER_APP_NAMES_MAX_BYTES',
    min: 1,
    max: 1_000_000_000,
    about: 'Maximum subscriptions per app, unless the app has max_subscriptions (subscriptions_full)',
  }),
  appPublishesPerSecond: integer({
    env: 'GUSHER_APP_PUBLISHES_PER_SECOND',
    unit: 'publications/s',
    fallback: 0,
    min: 0,
    max: 1_000_000_000,
    about:
      'Publications of the API accepted per app, per second and host, unless the app has max_publishes_per_second (too_many_publishes). 0: no limit',
  }),
  appClientEventsPerSecond: integer({
    env: 'GUSHER_APP_CLIENT_EVENTS_PER_SECOND',
    unit: 'events/s',
    fallback: 0,
    min: 0,
    max: 1_000_000_000,
    about:
      'Client events accepted per app, per second and host, unless the app has max_client_events_per_second (too_many_app_client_events). 0: no limit',
  }),
  appBytesOutPerSecond: integer({
    env: 'GUSHER_APP_BYTES_OUT_PER_SECOND',
    unit: 'bytes/s',
    fallback: 0,
    min: 0,
    max: 1_000_000_000_000,
    about:
      'Bytes of publications sent to the clients of one app, per second and host, unless the app has max_bytes_out_per_second. Over it, its publications are rejected (too_many_bytes_out). 0: no limit',
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
      'Pings, pongs and message fragments processed per client per second, in addition to its commands; ' +
      'excess frames are delayed, and each such second counts as a protocol error',
  }),
  bytesPerSecond: integer({
    env: 'GUSHER_CLIENT_BYTES_PER_SECOND',
    unit: 'bytes/s',
    fallback: MEBIBYTE,
    min: KIBIBYTE,
    max: 1024 * MEBIBYTE,
    about:
      'Bytes of messages and frames processed per client per second; what exceeds them is delayed, not dropped. One message may exceed them',
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
      'Concurrent auth webhook calls, and remote_url calls, per worker for all apps. One app uses at most as many as are still free',
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
      'Presence channels joined per client per second, in both protocols; excess joins are delayed, those beyond 5 s rejected (too_many_joins). A new client may join 100 at once',
  }),
  pusherPresenceChannelJoinsPerSecond: integer({
    env: 'GUSHER_PUSHER_PRESENCE_CHANNEL_JOINS_PER_SECOND',
    unit: 'joins/s',
    fallback: 200,
    min: 1,
    max: 1_000_000,
    about:
      'Joins of one presence channel per worker per second, after a burst of up to 10,000; excess joins are delayed by up to 5 s, then rejected (too_many_joins)',
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
    max: MEMBER_INFO_MAX_BYTES,
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
    // A shorter timeout would kill healthy workers, which send a heartbeat every 500 ms.
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

/** The values that gusher runs with. Plain data: the primary sends them to the workers unchanged. */
export type Settings = {
  readonly [Name in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[Name]['parse']>;
};

export type SettingName = keyof Settings;

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** The definition of a setting, without the type of its value. */
export function settingOf(name: SettingName): Setting<unknown> {
  return SETTINGS[name];
}

/** Derives how many of the smallest entries fill the names of an app. */
function fillAppNames(entryBytes: number): (values: Readonly<Record<string, unknown>>) => number {
  return ({ appNamesMaxBytes }) => Math.max(1, Math.floor(Number(appNamesMaxBytes) / entryBytes));
}

/** A client sends the token in an HTTP header. */
function apiToken(value: string): void {
  if (!/^[\x21-\x7e]{16,}$/.test(value)) {
    throw new Error('must have at least 16 ASCII characters and no spaces');
  }
}

function pathPrefix(value: string): void {
  if (!/^(?:\/[A-Za-z0-9._~-]+)+$/.test(value)) {
    throw new Error('must be a path such as /pusher, without a trailing slash and without percent signs');
  }
}
