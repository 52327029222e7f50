import { UNKNOWN } from '../../shared/metrics/gauges.ts';
import type { AppStats } from '../../shared/metrics/stats.ts';
import type { HostState } from './metric.ts';
import { each, eachPair, eachWorker, histogramSamples, type Metric, type Sample, single } from './metric.ts';

/**
 * Every metric of `GET /metrics` except the default ones of Node.js. The exposition, docs/metrics.md and the tests of
 * `deploy/` read this list.
 */
export const METRICS: readonly Metric[] = [
  {
    name: 'gusher_build_info',
    type: 'gauge',
    help: 'Always 1. The labels are the versions of gusher and of Node.js.',
    labels: ['version', 'node'],
    alert: '',
    read: ({ primary }) => [{ labels: { version: primary.version, node: process.versions.node }, value: 1 }],
  },

  // Clients.
  {
    name: 'gusher_connections',
    type: 'gauge',
    help: 'Open connections of clients, by protocol.',
    labels: ['protocol'],
    alert: 'It falls by half within minutes without a restart.',
    read: each('protocol', ({ stats }) => stats.connections),
  },
  {
    name: 'gusher_worker_connections',
    type: 'gauge',
    help: 'Open connections of each worker.',
    labels: ['worker'],
    alert: '',
    read: eachWorker(({ stats }) => stats.connections.gusher + stats.connections.pusher),
  },
  {
    name: 'gusher_connections_opened_total',
    type: 'counter',
    help: 'Connections opened, by protocol. Opened minus closed connections are the open ones.',
    labels: ['protocol'],
    alert: '',
    read: each('protocol', ({ stats }) => stats.connectionsOpened),
  },
  {
    name: 'gusher_closes_total',
    type: 'counter',
    help: 'Ended connections. by: client, server, or worker (its process exited). code: the close code that was sent; 1006 without a close frame; other for unusual codes of clients.',
    labels: ['by', 'code'],
    alert: 'by="worker" rises: a worker exited with clients. Code 4101 rises: clients read too slowly.',
    read: eachPair(['by', 'code'], ({ stats }) => stats.closes),
  },
  {
    name: 'gusher_errors_total',
    type: 'counter',
    help: 'Errors sent, by code (PROTOCOL.md lists them) and place: connect (before a connection), command (a reply), close (closed by the server), request (HTTP).',
    labels: ['place', 'code'],
    alert:
      'Codes of the operator rise: auth_unusable, keys_unavailable, no_worker, no_descriptors, over_capacity, internal.',
    read: eachPair(['place', 'code'], ({ stats }) => stats.errors),
  },
  {
    name: 'gusher_subscriptions',
    type: 'gauge',
    help: 'Current subscriptions of clients to channels.',
    labels: [],
    alert: '',
    read: single(({ stats }) => stats.subscriptions),
  },
  {
    name: 'gusher_channels',
    type: 'gauge',
    help: 'Channels with subscribers, on all hosts that share a Redis. The hosts report the same number: do not sum it.',
    labels: [],
    alert: '',
    read: single(({ primary }) => primary.presence.channels),
  },
  {
    name: 'gusher_users',
    type: 'gauge',
    help: 'Users with connections, per app, on all hosts that share a Redis. The hosts report the same number: do not sum it.',
    labels: [],
    alert: '',
    read: single(({ primary }) => primary.presence.users),
  },
  {
    name: 'gusher_worker_topics',
    type: 'gauge',
    help: 'Channels that each worker subscribes to at the broker.',
    labels: ['worker'],
    alert: '',
    read: eachWorker(({ stats }) => stats.topics),
  },
  {
    name: 'gusher_messages_received_total',
    type: 'counter',
    help: 'WebSocket messages received from clients.',
    labels: [],
    alert: '',
    read: single(({ stats }) => stats.messagesReceived),
  },
  {
    name: 'gusher_protocol_errors_total',
    type: 'counter',
    help: 'Malformed or unknown messages of clients, and seconds in which a client sent too many frames.',
    labels: [],
    alert: '',
    read: single(({ stats }) => stats.protocolErrors),
  },
  {
    name: 'gusher_throttled_seconds_total',
    type: 'counter',
    help: 'Seconds in which a client sent too many pings, pongs or fragments and was not read from, summed over clients.',
    labels: [],
    alert: '',
    read: single(({ stats }) => stats.secondsThrottled),
  },
  {
    name: 'gusher_pending_sockets',
    type: 'gauge',
    help: 'Sockets without a worker. state: head (no complete request yet), worker (no worker is ready), close (rejected, reading its error).',
    labels: ['state'],
    alert: 'state="head" stays near GUSHER_PENDING_SOCKETS_MAX; state="worker" is not 0 for seconds.',
    read: each('state', ({ primary }) => primary.pendingSockets),
  },
  {
    name: 'gusher_sockets_dropped_total',
    type: 'counter',
    help: 'Sockets closed without an answer because too many had sent no request.',
    labels: [],
    alert: 'It rises: an attack, or GUSHER_PENDING_SOCKETS_MAX is too low.',
    read: single(({ stats }) => stats.socketsDropped),
  },

  // Messages.
  {
    name: 'gusher_publications_total',
    type: 'counter',
    help: 'Publications that this host accepted. source: api, pusher_api, client (client events), direct (messages to a user or a socket).',
    labels: ['source'],
    alert: '',
    read: each('source', ({ stats }) => stats.publications),
  },
  {
    name: 'gusher_publications_received_total',
    type: 'counter',
    help: 'Publications that workers with subscribers received from the broker, once per worker. origin: host (accepted by this host), elsewhere (another host, or PUBLISH in Redis).',
    labels: ['origin'],
    alert: '',
    read: each('origin', ({ stats }) => stats.publicationsReceived),
  },
  {
    name: 'gusher_deliveries_total',
    type: 'counter',
    help: 'Messages written to clients, once per client: publications, and messages to users and sockets.',
    labels: [],
    alert: '',
    read: single(({ stats }) => stats.deliveries),
  },
  {
    name: 'gusher_delivered_bytes_total',
    type: 'counter',
    help: 'Bytes of WebSocket frames written to clients, replies included, before compression.',
    labels: [],
    alert: 'The rate nears the bandwidth of the host.',
    read: single(({ stats }) => stats.deliveredBytes),
  },
  {
    name: 'gusher_dropped_total',
    type: 'counter',
    help: 'Lost messages. reason: slow_client (deliveries to clients closed as too slow), slow_worker (publications that the relay could not pass on), malformed (messages of Redis that are no publications).',
    labels: ['reason'],
    alert: 'Any reason rises.',
    read: each('reason', ({ stats, primary }) => ({
      slow_client: stats.deliveriesDropped,
      slow_worker: primary.publicationsDropped,
      malformed: stats.publicationsMalformed,
    })),
  },
  {
    name: 'gusher_broker_gaps_total',
    type: 'counter',
    help: 'Lost subscriber connections to Redis, once per worker. In each gap, the clients of that worker may have missed messages.',
    labels: [],
    alert: 'It rises although Redis was not restarted.',
    read: single(({ stats }) => stats.brokerGaps),
  },
  {
    name: 'gusher_publish_to_write_seconds',
    type: 'histogram',
    help: 'Seconds from the acceptance of a publication until a worker has written it to its last subscriber, once per worker and protocol. origin host: the clock of this host measures all of it, Redis included. origin elsewhere: from the arrival at the worker, because clocks of hosts differ.',
    labels: ['origin'],
    alert: 'The 99th percentile of origin="host" exceeds what your clients accept, such as 0.25 s.',
    read: ({ stats }) => [
      ...histogramSamples(stats.publishToWrite.host, { origin: 'host' }),
      ...histogramSamples(stats.publishToWrite.elsewhere, { origin: 'elsewhere' }),
    ],
  },
  {
    name: 'gusher_send_buffer_bytes',
    type: 'gauge',
    help: 'Bytes that gusher keeps for clients because the system does not accept them yet.',
    labels: [],
    alert: 'It grows for minutes: clients read more slowly than you publish.',
    read: ({ workers }) => [
      { value: workers.reduce((sum, { gauges }) => sum + (gauges?.sendBufferBytes ?? 0), 0) },
    ],
  },

  // HTTP.
  {
    name: 'gusher_http_responses_total',
    type: 'counter',
    help: 'Responses of workers to HTTP requests on both ports, by status. Failed WebSocket handshakes are in gusher_errors_total.',
    labels: ['status'],
    alert: 'The rate of 5xx is not 0.',
    read: each('status', ({ stats }) => stats.responses),
  },
  {
    name: 'gusher_http_aborted_total',
    type: 'counter',
    help: 'HTTP requests whose client disconnected before the end of the response.',
    labels: [],
    alert: '',
    read: single(({ stats }) => stats.requestsAborted),
  },

  // Processes.
  {
    name: 'gusher_workers',
    type: 'gauge',
    help: 'Worker slots by state: starting, ready, draining, gone.',
    labels: ['state'],
    alert: 'state="ready" is below GUSHER_WORKERS for a minute.',
    read: each('state', ({ primary }) => primary.workers),
  },
  {
    name: 'gusher_worker_restarts_total',
    type: 'counter',
    help: 'Workers that ended unexpectedly. reason: exit, signal, killed (SIGKILL from outside, often for memory), unresponsive, malformed_frame, start_failed, fork_failed.',
    labels: ['reason'],
    alert: 'It rises.',
    read: each('reason', ({ primary }) => primary.workerRestarts),
  },
  {
    name: 'gusher_unexpected_errors_total',
    type: 'counter',
    help: 'Defects: errors that no code expected. The log has the stack (unexpected_error).',
    labels: [],
    alert: 'It rises.',
    read: single(({ stats }) => stats.unexpectedErrors),
  },
  {
    name: 'gusher_event_loop_utilization',
    type: 'gauge',
    help: 'Share of the time since the last collection in which the event loop of a worker was busy, 0 to 1.',
    labels: ['worker'],
    alert: 'Above 0.85 for five minutes: add workers, CPUs or hosts.',
    read: eachWorker(({ gauges }) => gauges?.loopUtilization),
  },
  {
    name: 'gusher_event_loop_delay_seconds',
    type: 'summary',
    help: 'Delay of timers of a worker since the last collection. quantile: 0.5, 0.99, or 1 (the maximum).',
    labels: ['worker', 'quantile'],
    alert: 'quantile="0.99" above 0.1 for minutes.',
    read: loopDelays,
  },
  {
    name: 'gusher_memory_bytes',
    type: 'gauge',
    help: 'Memory. process: primary, or worker-0 and so on. kind: rss, heap_used, heap_total, external.',
    labels: ['process', 'kind'],
    alert: 'The sum of kind="rss" nears the memory limit of the service.',
    read: memory,
  },
  {
    name: 'gusher_open_files',
    type: 'gauge',
    help: 'Open file descriptors of each process. A client needs one in its worker.',
    labels: ['process'],
    alert: 'Above 80 % of gusher_open_files_limit.',
    read: openFiles,
  },
  {
    name: 'gusher_open_files_limit',
    type: 'gauge',
    help: 'Maximum open file descriptors of a process (LimitNOFILE).',
    labels: [],
    alert: '',
    read: ({ primary: { openFilesLimit: value } }) => (value === undefined ? [] : [{ value }]),
  },
  {
    name: 'gusher_names_bytes',
    type: 'gauge',
    help: 'Memory that gusher counts for the names of channels and users of this host.',
    labels: [],
    alert: 'Above 80 % of gusher_names_limit_bytes.',
    read: single(({ primary }) => primary.names.bytes),
  },
  {
    name: 'gusher_names_limit_bytes',
    type: 'gauge',
    help: 'GUSHER_NAMES_MAX_BYTES: with more, subscribing fails with host_full.',
    labels: [],
    alert: '',
    read: single(({ primary }) => primary.names.maxBytes),
  },

  // Broker.
  {
    name: 'gusher_broker_up',
    type: 'gauge',
    help: '1 if every worker is connected to the broker and its last publication to itself arrived, otherwise 0.',
    labels: [],
    alert: '0 for 30 seconds: publishing fails.',
    read: ({ workers }) => [{ value: Number(workers.length > 0 && workers.every(isBrokerUp)) }],
  },
  {
    name: 'gusher_broker_roundtrip_seconds',
    type: 'gauge',
    help: 'Time of the last publication of each worker to itself through the broker, measured once a second.',
    labels: ['worker'],
    alert: 'Above 0.1 for minutes.',
    read: eachWorker(({ gauges }) => known(gauges?.brokerRoundTrip)),
  },

  // Webhooks.
  {
    name: 'gusher_auth_webhook_seconds',
    type: 'histogram',
    help: 'Seconds that auth webhooks took, including the wait for a free slot.',
    labels: [],
    alert: 'The 99th percentile nears GUSHER_AUTH_WEBHOOK_TIMEOUT_MS.',
    read: ({ stats }) => histogramSamples(stats.authWebhook),
  },
  {
    name: 'gusher_auth_webhook_failures_total',
    type: 'counter',
    help: 'Calls of auth webhooks without a usable response, by reason. Rejected credentials are no failures.',
    labels: ['reason'],
    alert: 'It rises: clients of that app cannot connect.',
    read: each('reason', ({ stats }) => stats.authWebhookFailures),
  },
  {
    name: 'gusher_event_webhooks_total',
    type: 'counter',
    help: 'Events of webhooks. result: delivered, retried (once per failed attempt), discarded (after all retries), dropped (queue full, or the app store failed).',
    labels: ['result'],
    alert: 'result="discarded" or "dropped" rises: events are lost.',
    read: ({ primary: { eventWebhooks } }) =>
      Object.entries(eventWebhooks).map(([result, value]) => ({
        labels: { result },
        value: value as number,
      })),
  },
  {
    name: 'gusher_event_webhooks_queued',
    type: 'gauge',
    help: 'Events that wait for their webhook.',
    labels: [],
    alert: 'It grows for minutes.',
    read: single(({ primary }) => primary.eventWebhooksQueued),
  },

  // Apps: only with GUSHER_METRICS_APPS_MAX.
  {
    name: 'gusher_app_connections',
    type: 'gauge',
    help: 'Open connections of an app. Only with GUSHER_METRICS_APPS_MAX; further apps count as other.',
    labels: ['app'],
    alert: '',
    read: eachApp(({ connections }) => connections),
  },
  {
    name: 'gusher_app_publications_total',
    type: 'counter',
    help: 'Publications of an app that this host accepted, without messages to users and sockets.',
    labels: ['app'],
    alert: '',
    read: eachApp(({ publications }) => publications),
  },
  {
    name: 'gusher_app_deliveries_total',
    type: 'counter',
    help: 'Subscribers of the publications of an app, summed over publications, without messages to users and sockets.',
    labels: ['app'],
    alert: '',
    read: eachApp(({ deliveries }) => deliveries),
  },
];

function isBrokerUp({ gauges }: HostState['workers'][number]): boolean {
  return gauges?.brokerUp === 1;
}

function known(value: number | undefined): number | undefined {
  return value === UNKNOWN ? undefined : value;
}

function* loopDelays({ workers }: HostState): Generator<Sample> {
  for (const { slot, gauges } of workers) {
    if (gauges === undefined) continue;
    const { p50, p99, max } = gauges.loopDelay;
    const worker = String(slot);
    yield { labels: { worker, quantile: '0.5' }, value: p50 };
    yield { labels: { worker, quantile: '0.99' }, value: p99 };
    yield { labels: { worker, quantile: '1' }, value: max };
  }
}

function* memory(host: HostState): Generator<Sample> {
  for (const [process, { memory }] of processes(host)) {
    yield { labels: { process, kind: 'rss' }, value: memory.rss };
    yield { labels: { process, kind: 'heap_used' }, value: memory.heapUsed };
    yield { labels: { process, kind: 'heap_total' }, value: memory.heapTotal };
    yield { labels: { process, kind: 'external' }, value: memory.external };
  }
}

function* openFiles(host: HostState): Generator<Sample> {
  for (const [process, { openFiles }] of processes(host)) {
    if (openFiles !== UNKNOWN) yield { labels: { process }, value: openFiles };
  }
}

function* processes({ workers, primary }: HostState): Generator<[string, HostState['primary']['gauges']]> {
  yield ['primary', primary.gauges];
  for (const { slot, gauges } of workers) if (gauges !== undefined) yield [`worker-${slot}`, gauges];
}

function eachApp(read: (app: AppStats) => number): Metric['read'] {
  return ({ stats }) =>
    Object.entries(stats.apps).map(([key, app]) => ({ labels: { app: appOf(key) }, value: read(app) }));
}

/** The keys of `appLabel`, and one without a prefix for all other apps. */
function appOf(key: string): string {
  return key.startsWith('@') ? key.slice(1) : key;
}
