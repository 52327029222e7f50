import { isObject } from '../json/is-object.ts';
import { createHistogram, type Histogram } from './histogram.ts';

/** Counts by label value. Only values that occurred have a key. */
export type Counts = { [label: string]: number };

/** Where an error was sent: before the connection, as a reply to a command, as a close, or by the HTTP API. */
export type ErrorPlace = 'connect' | 'command' | 'close' | 'request';

/** The side that ended a connection. `worker`: its worker exited without closing it. */
export type Closer = 'client' | 'server' | 'worker';

/** What one app did on this host. */
export interface AppStats {
  /** Gauge: open connections. */
  connections: number;
  publications: number;
  deliveries: number;
}

/**
 * What a process counts. The primary adds up the stats of all workers and its own. Gauges rise and fall; counters only grow
 * during the life of their process. `primary/metrics/catalogue.ts` exports each field.
 */
export interface Stats {
  /** Gauge: open connections by protocol. */
  connections: { gusher: number; pusher: number };
  /** Gauge: current subscriptions. */
  subscriptions: number;
  /** Gauge: topics that this worker subscribes to. */
  topics: number;
  connectionsOpened: { gusher: number; pusher: number };
  /** Ended connections, by `closeLabel`. */
  closes: Counts;
  /** Errors sent to clients and backends, by `errorLabel`. */
  errors: Counts;
  /** Sockets dropped without an answer, because too many had not sent a request. */
  socketsDropped: number;
  /** Defects: errors that no code expected. */
  unexpectedErrors: number;
  /** Seconds in which a client sent more pings, pongs or fragments than it may, and was not read from for the rest. */
  secondsThrottled: number;
  /** HTTP responses by status. */
  responses: Counts;
  /** HTTP requests whose client disconnected before the end of the response. */
  requestsAborted: number;
  messagesReceived: number;
  protocolErrors: number;
  /** Accepted publications by their source. `direct`: messages to a user or a socket. */
  publications: { api: number; pusher_api: number; client: number; direct: number };
  /** Publications received from the broker with subscribers on this worker, by the host that accepted them. */
  publicationsReceived: { host: number; elsewhere: number };
  /** How often the subscriptions in Redis were lost. In each gap, clients of this worker may have missed messages. */
  brokerGaps: number;
  /** Malformed messages received from Redis. */
  publicationsMalformed: number;
  /** Messages written to clients, counted per client: publications, and messages to users and sockets. */
  deliveries: number;
  /** Bytes of WebSocket frames written to clients, replies included. */
  deliveredBytes: number;
  /** Deliveries dropped because the client was too slow. */
  deliveriesDropped: number;
  /** Seconds from the acceptance of a publication until all its subscribers on this worker are written to. */
  publishToWrite: { host: Histogram; elsewhere: Histogram };
  /** Seconds that auth webhooks took. */
  authWebhook: Histogram;
  /** Unusable responses of auth webhooks, by reason. */
  authWebhookFailures: Counts;
  /** By `appLabel`. Empty unless the operator wants metrics per app. */
  apps: { [app: string]: AppStats };
}

export function createStats(): Stats {
  return {
    connections: { gusher: 0, pusher: 0 },
    subscriptions: 0,
    topics: 0,
    connectionsOpened: { gusher: 0, pusher: 0 },
    closes: {},
    errors: {},
    socketsDropped: 0,
    unexpectedErrors: 0,
    secondsThrottled: 0,
    responses: {},
    requestsAborted: 0,
    messagesReceived: 0,
    protocolErrors: 0,
    publications: { api: 0, pusher_api: 0, client: 0, direct: 0 },
    publicationsReceived: { host: 0, elsewhere: 0 },
    brokerGaps: 0,
    publicationsMalformed: 0,
    deliveries: 0,
    deliveredBytes: 0,
    deliveriesDropped: 0,
    publishToWrite: { host: createHistogram(), elsewhere: createHistogram() },
    authWebhook: createHistogram(),
    authWebhookFailures: {},
    apps: {},
  };
}

/** Counts one occurrence of a label. */
export function count(counts: Counts, label: string): void {
  counts[label] = (counts[label] ?? 0) + 1;
}

/** Counts an error of the catalogue. */
export function countError({ errors }: Pick<Stats, 'errors'>, place: ErrorPlace, code: string): void {
  count(errors, `${place} ${code}`);
}

/** RFC 6455 §7.4.1: codes that clients send usually. Attack: clients that vary the code; others count as `other`. */
const CLIENT_CLOSE_CODES: ReadonlySet<number> = new Set([
  1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1011,
]);

/** Counts an ended connection. `code` is the close code that was sent; 1006 without a close frame. */
export function countClose({ closes }: Pick<Stats, 'closes'>, closer: Closer, code: number): void {
  const isKnown = closer !== 'client' || CLIENT_CLOSE_CODES.has(code);
  count(closes, `${closer} ${isKnown ? code : 'other'}`);
}

/** The key of an app in `apps`. The prefix keeps keys such as `__proto__` from meaning anything. */
export function appLabel(appKey: string): string {
  return `@${appKey}`;
}

/** The labels of a key of `closes`, `errors` or another `Counts` with two labels. */
export function labelsOf(key: string): [first: string, second: string] {
  const at = key.indexOf(' ');
  return [key.slice(0, at), key.slice(at + 1)];
}

/** Adds `from` to `into`, field by field. */
export function addStats(into: Stats, from: Stats): void {
  addNumbers(into, from);
}

/** Returns the counters of an exited process: without its gauges, and with its open connections as ended. */
export function retiredStats(stats: Stats): Stats {
  const retired = createStats();
  addStats(retired, stats);
  const open = stats.connections.gusher + stats.connections.pusher;
  if (open > 0) retired.closes['worker 1006'] = (retired.closes['worker 1006'] ?? 0) + open;
  retired.connections = { gusher: 0, pusher: 0 };
  retired.subscriptions = 0;
  retired.topics = 0;
  for (const app of Object.values(retired.apps)) app.connections = 0;
  return retired;
}

/** Returns true for stats that another process sent: the fields of `createStats`, with finite numbers. */
export function isStats(value: unknown): value is Stats {
  return isObject(value) && hasFields(value, TEMPLATE);
}

const TEMPLATE = createStats();

type Tree = { [key: string]: number | Tree };

function addNumbers(into: object, from: object): void {
  const target = into as Tree;
  for (const [key, value] of Object.entries(from as Tree)) {
    if (typeof value === 'number') {
      const present = target[key];
      target[key] = (typeof present === 'number' ? present : 0) + value;
    } else {
      target[key] ??= {};
      addNumbers(target[key] as Tree, value);
    }
  }
}

function hasFields(value: object, template: object): boolean {
  const fields = value as Record<string, unknown>;
  return Object.entries(template).every(([key, expected]) => {
    const field = fields[key];
    if (typeof expected === 'number') return Number.isFinite(field);
    if (Array.isArray(expected)) {
      return Array.isArray(field) && field.length === expected.length && field.every(Number.isFinite);
    }
    if (!isObject(field)) return false;
    // An empty object of the template holds any keys.
    return Object.keys(expected).length > 0 ? hasFields(field, expected) : holdsNumbers(field);
  });
}

/** Numbers by key, or such objects by key. */
function holdsNumbers(value: object, depth = 2): boolean {
  return Object.values(value).every(
    (field) => Number.isFinite(field) || (depth > 1 && isObject(field) && holdsNumbers(field, depth - 1)),
  );
}
