import { isObject } from '../json/is-object.ts';
import { isGauges, METRICS_FORMATS, type MetricsFormat } from '../metrics/gauges.ts';
import { isStats } from '../metrics/stats.ts';
import type { PresenceQuery } from '../model/presence.ts';
import { WEBHOOK_EVENT_NAMES } from '../model/webhook-event.ts';
import { RESOURCES } from './amounts.ts';
import type { ToPrimary } from './messages.ts';

/**
 * The shapes of what a worker sends. The primary checks each message before it uses it: it replaces a worker that
 * sends other messages, and must not fail itself.
 */

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const STATUSES: readonly unknown[] = ['connecting', 'connected', 'disconnected', 'closed'];
const EVENT_NAMES: readonly unknown[] = WEBHOOK_EVENT_NAMES;
const SUBSCRIBABLE: readonly unknown[] = ['members', 'channel', 'user'];
const RATE_KINDS: readonly unknown[] = ['publishes', 'clientEvents'];
const NONE: readonly string[] = [];

/** Names in a query besides its kind and page. */
const QUERY_NAMES: Readonly<Record<PresenceQuery['kind'], readonly string[]>> = {
  channels: ['app'],
  channelCount: ['app'],
  channel: ['app', 'channel'],
  usersOfApp: ['app'],
  usersOfChannel: ['app', 'channel'],
  usersInAll: ['app'],
  members: ['app', 'channel'],
  user: ['app', 'user'],
  app: ['app'],
  apps: NONE,
  totals: NONE,
};

const SHAPES: { readonly [Type in ToPrimary['type']]: (message: Fields) => boolean } = {
  ready: () => true,
  appsFileRead: () => true,
  fatal: ({ reason }) => isText(reason),
  heartbeat: ({ stats }) => stats === undefined || isStats(stats),
  metricsReport: ({ stats, gauges }) => isStats(stats) && isGauges(gauges),
  deliveryReportQuery: ({ id, report, topic }) => isWhole(id) && isText(report) && isText(topic),
  deliveryReportPart: ({ report, counts }) => isText(report) && isObject(counts) && isDeliveryCounts(counts),
  metricsQuery: ({ id, format }) => isWhole(id) && METRICS_FORMATS.includes(format as MetricsFormat),
  sockets: ({ acknowledged, barrier, ended, opened, closed }) =>
    isListOf(acknowledged, isWhole) &&
    isWhole(barrier) &&
    isListOf(ended, isWhole) &&
    isListOf(opened, isText) &&
    isListOf(closed, isText),
  brokerStatus: ({ status }) => STATUSES.includes(status),
  webhookReports: ({ reports }) => isListOf(reports, isReport),
  allowanceRequest: ({ app, held, wanted, channels, limits }) =>
    isText(app) && [held, wanted, limits].every(isAmounts) && isListOf(channels, isText),
  allowanceHeld: ({ app, held }) => isText(app) && isAmounts(held),
  rateRequest: ({ app, kind, perSecond, needed, wanted }) =>
    isText(app) && RATE_KINDS.includes(kind) && [perSecond, needed, wanted].every(isWhole),
  bytesOut: ({ reports }) => isListOf(reports, isBytesReport),
  relaySubscribe: ({ topics }) => isListOf(topics, isText),
  relayUnsubscribe: ({ topics }) => isListOf(topics, isText),
  relayCacheQuery: ({ id, topic }) => isWhole(id) && isText(topic),
  idempotencyClaim: ({ id, key, fingerprint }) => isWhole(id) && isText(key) && isText(fingerprint),
  idempotencyCompleted: ({ key, answer }) => isText(key) && isTextOrNone(answer),
  presence: ({ deltas }) => isListOf(deltas, isDelta),
  presenceQuery: ({ id, query, subscribe }) =>
    isWhole(id) && (subscribe === true ? isSubscribable(query) : subscribe === false && isQuery(query)),
  presenceJoin: ({ id, join, query }) => isWhole(id) && isJoin(join) && isSubscribable(query),
  presenceUnsubscribe: ({ query }) => isSubscribable(query),
  tailOpen: ({ id, filter, dataMaxBytes }) => isWhole(id) && isTailFilter(filter) && isWhole(dataMaxBytes),
  tailClose: ({ id }) => isWhole(id),
  tailEntries: ({ batches }) => isListOf(batches, isTailBatch),
};

/** True if the value is a message of a worker to the primary. */
export function isToPrimary(value: unknown): value is ToPrimary {
  if (!isObject(value) || !isText(value.type) || !Object.hasOwn(SHAPES, value.type)) return false;
  return SHAPES[value.type as ToPrimary['type']](value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTextOrNone(value: unknown): boolean {
  return value === undefined || isText(value);
}

function isWhole(value: unknown): boolean {
  return Number.isSafeInteger(value);
}

function isListOf(value: unknown, check: Check): boolean {
  return Array.isArray(value) && value.every(check);
}

function isAmounts(value: unknown): boolean {
  return isObject(value) && RESOURCES.every((resource) => isWhole(value[resource]));
}

function isBytesReport(value: unknown): boolean {
  return isObject(value) && isText(value.app) && isWhole(value.bytes) && isWhole(value.perSecond);
}

function isDeliveryCounts({ subscribers, written, queued, dropped }: Fields): boolean {
  return [subscribers, written, queued, dropped].every(isWhole);
}

function isReport(value: unknown): boolean {
  if (!isObject(value) || !isText(value.app) || !isObject(value.event)) return false;
  return EVENT_NAMES.includes(value.event.name) && isText(value.event.channel);
}

function isDelta(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { app, channel, user, change, info } = value;
  return isText(app) && isText(channel) && isText(user) && isWhole(change) && isTextOrNone(info);
}

function isQuery(value: unknown): boolean {
  if (!isObject(value) || !isText(value.kind) || !Object.hasOwn(QUERY_NAMES, value.kind)) return false;
  const { prefix, after, limit, channels } = value;
  return (
    QUERY_NAMES[value.kind as PresenceQuery['kind']].every((name) => isText(value[name])) &&
    isTextOrNone(prefix) &&
    isTextOrNone(after) &&
    (limit === undefined || isWhole(limit)) &&
    (value.kind !== 'usersInAll' || isListOf(channels, isText))
  );
}

function isTailFilter(value: unknown): boolean {
  return isObject(value) && [value.app, value.channel, value.user].every(isTextOrNone);
}

function isTailBatch(value: unknown): boolean {
  return isObject(value) && isWhole(value.tail) && isListOf(value.lines, isText) && isWhole(value.dropped);
}

function isSubscribable(value: unknown): boolean {
  return isQuery(value) && SUBSCRIBABLE.includes((value as Fields).kind);
}

function isJoin(value: unknown): boolean {
  if (!isObject(value) || !isObject(value.member)) return false;
  const { app, channel, max, member } = value;
  return isText(app) && isText(channel) && isWhole(max) && isText(member.user) && isTextOrNone(member.info);
}
