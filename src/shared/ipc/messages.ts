import type { App } from '../apps/app.ts';
import type { Settings } from '../config/settings.ts';
import type { DeliveryCounts, DeliveryReport } from '../metrics/delivery-report.ts';
import type { BrokerGauges, MetricsFormat, ProcessGauges } from '../metrics/gauges.ts';
import type { Stats } from '../metrics/stats.ts';
import type {
  PresenceAnswer,
  PresenceDelta,
  PresenceEvent,
  PresenceJoin,
  PresenceQuery,
  PresenceQueryOf,
  Subscribable,
} from '../model/presence.ts';
import type { CachedPublication } from '../model/publication.ts';
import type { WebhookEvent } from '../model/webhook-event.ts';
import type { Tail, TailBatch, TailFilter } from '../tail/tail.ts';
import type { Amounts, Resource } from './amounts.ts';

/**
 * Messages between the primary and a worker. A `MessagePipe` carries two closed unions, keyed by `type`, and relay frames
 * (`relay-frame.ts`). The IPC channel of Node carries sockets and messages that must keep their order among them.
 */

/** The descriptor of the pipe in a worker. */
export const PIPE_DESCRIPTOR = 4;

/** Sent with a socket of a client (in the format of @socket.io/sticky) or of the API. `data` is its first bytes. */
export interface SocketMessage {
  readonly type: 'sticky:connection' | 'api:connection';
  /** The worker acknowledges the socket with this id. */
  readonly handoffId: number;
  readonly data: Buffer;
}

/** All sockets up to this id were sent before; the worker repeats it in `sockets`. */
export interface BarrierMessage {
  readonly type: 'barrier';
  readonly handoffId: number;
}

/** Messages over the IPC channel of Node. @socket.io/sticky also reads those that begin with `sticky:`. */
export type ChannelMessage = SocketMessage | BarrierMessage;

/** An event for the webhook of an app. */
export interface WebhookReport {
  readonly app: string;
  readonly event: WebhookEvent;
}

/** What the limits of an app per second count. */
export type RateKind = 'publishes' | 'clientEvents' | 'bytesOut';

export type BrokerStatus = 'connecting' | 'connected' | 'disconnected' | 'closed';

export type ToWorker =
  /**
   * The first message, with the configuration of a worker. `hostId` is random, and the same for all workers.
   * `appsFileExisted`: another process has read the apps file.
   */
  | {
      type: 'start';
      settings: Settings;
      slot: number;
      hostId: string;
      demoApp: App | undefined;
      appsFileExisted: boolean;
    }
  /** Another process has read the apps file, which did not exist before. */
  | { type: 'appsFileRead' }
  /**
   * The state of the host, after each change. `live`: all workers are connected to the broker, and to one server.
   * `connected`: the number of ready workers that are connected. `server`: the server of the newest connection;
   * connections to other servers must reconnect. `presenceProblem`: why presence is not exchanged with other hosts.
   */
  | {
      type: 'host';
      live: boolean;
      connected: number;
      stopping: boolean;
      server?: string;
      presenceProblem?: string;
    }
  /** Bytes of names (channels, users) that this worker may add until the next such message. */
  | { type: 'names'; bytes: number }
  /**
   * The answer to the `allowanceRequest` of this worker for the app: what it may add besides what it holds. `known`: the
   * channels of the request that the app has on other workers, which this worker may add in the same turn. `full`: the first
   * resource of which the app has less left than requested.
   */
  | { type: 'allowanceGrant'; app: string; granted: Amounts; known: string[]; full?: Resource }
  /** Asks for what this worker holds and does not use. Answered by `allowanceHeld`. */
  | { type: 'allowanceRecall'; app: string }
  /** The answer to the `rateRequest` of this worker for the app and kind: 0 if less than `needed` is left. */
  | { type: 'rateGrant'; app: string; kind: Exclude<RateKind, 'bytesOut'>; granted: number }
  /** The app has sent more bytes than it may: reject its publications for this time. */
  | { type: 'bytesOutExceeded'; app: string; forMs: number }
  /** The first app was registered: close the clients of the demo app. */
  | { type: 'demoEnded' }
  /** Answer with `metricsReport`. */
  | { type: 'metricsCollect' }
  /** The answer to the `metricsQuery` with this id. */
  | { type: 'metrics'; id: number; text: string }
  /** Answer with `deliveryReportPart` when the publication with this report id is delivered. */
  | { type: 'deliveryReportAsk'; report: string; topic: string }
  /** The answer to the `deliveryReportQuery` with this id. */
  | { type: 'deliveryReport'; id: number; report: DeliveryReport }
  /** Close all clients within the timeout with a reconnect code, and exit. */
  | { type: 'drain'; timeoutMs: number }
  /** The primary relayed the oldest `count` unconfirmed frames of this worker. */
  | { type: 'relayReceived'; count: number }
  /** The answer to the `relayCacheQuery` with this id, in order with relay frames. */
  | { type: 'relayCached'; id: number; cached: CachedPublication | undefined }
  /** The oldest unconfirmed `relaySubscribe` is in effect. */
  | { type: 'relaySubscribed' }
  /** The answer to the `idempotencyClaim` with this id. `acquired`: execute the request and complete the key. */
  | {
      type: 'idempotencyResult';
      id: number;
      result: { kind: 'acquired' } | { kind: 'completed'; answer: string } | { kind: 'mismatch' };
    }
  /**
   * The answer to the `presenceQuery` or `presenceJoin` with this id. Answers and events are in the order of the changes.
   * `full`: the channel is full, and the user did not join.
   */
  | { type: 'presenceAnswer'; id: number; answer: PresenceAnswer | 'full' }
  /** Changes since the answer in subscribed queries. */
  | { type: 'presenceEvents'; events: PresenceEvent[] }
  /** All open tails of the host, after each change. */
  | { type: 'tails'; tails: Tail[] }
  /** The answer to `tailOpen`; false if too many tails are open. */
  | { type: 'tailOpened'; id: number; isAccepted: boolean }
  /** Entries for a tail that this worker serves: JSON texts, and the number of entries left out. */
  | { type: 'tailReceived'; id: number; lines: readonly string[]; dropped: number };

export type ToPrimary =
  /** The worker accepts sockets. */
  | { type: 'ready' }
  /** This worker is the first one that has read the apps file. */
  | { type: 'appsFileRead' }
  /** The worker cannot run, and a replacement would fail too. */
  | { type: 'fatal'; reason: string }
  /** Sent at least twice a second: proves that the event loop runs. `stats`: if they changed since the last one. */
  | { type: 'heartbeat'; stats?: Stats }
  /** The answer to `metricsCollect`. */
  | { type: 'metricsReport'; stats: Stats; gauges: ProcessGauges & BrokerGauges }
  /** Requests what all workers did with the publication with this report id. */
  | { type: 'deliveryReportQuery'; id: number; report: string; topic: string }
  /** The answer to `deliveryReportAsk`. */
  | { type: 'deliveryReportPart'; report: string; counts: DeliveryCounts }
  /** Requests the text of `GET /metrics` in this format, summed over all workers. */
  | { type: 'metricsQuery'; id: number; format: MetricsFormat }
  /**
   * Changes since the last such message: acknowledged handoff ids, the last barrier, the number of ended sockets, and
   * the opened and closed ids that `sid=` may name.
   */
  | {
      type: 'sockets';
      acknowledged: number[];
      barrier: number;
      /** Handoff ids of sockets that closed. */
      ended: number[];
      opened: string[];
      closed: string[];
    }
  /** `server` identifies the Redis process, if known. */
  | { type: 'brokerStatus'; status: BrokerStatus; server?: string }
  | { type: 'webhookReports'; reports: WebhookReport[] }
  /**
   * Asks for `wanted` besides `held`, which this worker may add or has added and not reported. `channels` are the names of
   * the wanted channels. At most one request per app is in flight.
   */
  | {
      type: 'allowanceRequest';
      app: string;
      held: Amounts;
      wanted: Amounts;
      channels: string[];
      limits: Amounts;
    }
  /**
   * Asks for `wanted` publications or client events, of which at least `needed`. At most one request per app and kind is in
   * flight.
   */
  | {
      type: 'rateRequest';
      app: string;
      kind: Exclude<RateKind, 'bytesOut'>;
      perSecond: number;
      needed: number;
      wanted: number;
    }
  /** Bytes sent since the last such message, for apps with a limit. */
  | { type: 'bytesOut'; reports: { app: string; bytes: number; perSecond: number }[] }
  /** What this worker holds from now on. */
  | { type: 'allowanceHeld'; app: string; held: Amounts }
  | { type: 'relaySubscribe'; topics: string[] }
  | { type: 'relayUnsubscribe'; topics: string[] }
  /** Requests the stored publication of a cache channel. */
  | { type: 'relayCacheQuery'; id: number; topic: string }
  /** A request with this key arrived; equal requests have equal fingerprints. */
  | { type: 'idempotencyClaim'; id: number; key: string; fingerprint: string }
  /** The request ended. Without an answer it was not executed or, if `isUnknown`, may have been executed. */
  | { type: 'idempotencyCompleted'; key: string; answer: string | undefined; isUnknown?: boolean }
  /** Net changes of connections and subscriptions on this worker. */
  | { type: 'presence'; deltas: PresenceDelta[] }
  /** Answered by `presenceAnswer`. With `subscribe`, events follow until `presenceUnsubscribe`. */
  | { type: 'presenceQuery'; id: number; query: PresenceQuery; subscribe: false }
  | { type: 'presenceQuery'; id: number; query: Subscribable; subscribe: true }
  /**
   * Adds a subscription of the user on this worker, if the channel has room, as if reported; then subscribes to the
   * query.
   */
  | { type: 'presenceJoin'; id: number; join: PresenceJoin; query: PresenceQueryOf<'members'> }
  | { type: 'presenceUnsubscribe'; query: Subscribable }
  /** Opens a tail that this worker serves. */
  | { type: 'tailOpen'; id: number; filter: TailFilter; dataMaxBytes: number }
  | { type: 'tailClose'; id: number }
  /** Entries of this worker. */
  | { type: 'tailEntries'; batches: TailBatch[] };
