import type { App } from '../apps/app.ts';
import type { Settings } from '../config/settings.ts';
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
import type { Stats } from '../stats.ts';

/**
 * What crosses between the primary and a worker: over a `MessagePipe` two closed unions, keyed by `type`, and relayed items
 * (`relay-item.ts`); over Node's own channel sockets, and what has to keep its place among them.
 */

/** The descriptor by which a worker finds its end of the line. */
export const PIPE_DESCRIPTOR = 4;

/** With a socket: a client, whose first bytes are `data` (@socket.io/sticky's own), or one for the API. */
export interface SocketMessage {
  readonly type: 'sticky:connection' | 'api:connection';
  /** What the worker names it by when it has taken it over. */
  readonly handoffId: number;
  readonly data: Buffer;
}

/** All sockets up to that ticket that are for this worker were sent before; to be repeated in `sockets`. */
export interface BarrierMessage {
  readonly type: 'barrier';
  readonly handoffId: number;
}

/** What Node's channel carries to a worker. @socket.io/sticky reads it as well, as far as it begins with `sticky:`. */
export type ChannelMessage = SocketMessage | BarrierMessage;

/** What a worker saw that the webhook of an app may be told. */
export interface WebhookReport {
  readonly app: string;
  readonly event: WebhookEvent;
}

export type BrokerStatus = 'connecting' | 'connected' | 'disconnected' | 'closed';

export type ToWorker =
  /** The first message: everything a worker needs to know. */
  | { type: 'start'; settings: Settings; slot: number; demoApp: App | undefined }
  /**
   * The state of the whole host, after each change. `live`: every worker's broker link is, and all lead to one server.
   * `server`: the one to which a connection was made last; links to another one have to follow.
   */
  | { type: 'host'; live: boolean; stopping: boolean; server?: string }
  /** So many bytes of names (channels, users) may be added here until the next such message. */
  | { type: 'names'; bytes: number }
  /** The first app was registered: the demo app has ended, and its clients must go. */
  | { type: 'demoEnded' }
  /** Close your clients within the deadline, tell them to come back, and exit. */
  | { type: 'drain'; timeoutMs: number }
  /** Of your items, so many of the oldest that were not confirmed yet have been passed on. */
  | { type: 'relayReceived'; count: number }
  /** The answer to the `relayAsk` of that id, in its place among the items. */
  | { type: 'relayCached'; id: number; cached: CachedPublication | undefined }
  /** Your oldest `relaySubscribe` that was not confirmed yet is in effect. */
  | { type: 'relaySubscribed' }
  /** The answer to the `idempotencyClaim` of that id. `yours`: do the work and settle the key. */
  | {
      type: 'idempotencyResult';
      id: number;
      result: { kind: 'acquired' } | { kind: 'completed'; answer: string } | { kind: 'mismatch' };
    }
  /**
   * The answer to the `rosterQuery` or `rosterJoin` of that id. Answers and events are in the order in which things
   * came to be. `full`: who wanted to join is not in.
   */
  | { type: 'presenceAnswer'; id: number; answer: PresenceAnswer | 'full' }
  /** What changed, since the answer, in what this worker watches. */
  | { type: 'presenceEvents'; events: PresenceEvent[] };

export type ToPrimary =
  /** Settings arrived, broker tried, connections welcome. */
  | { type: 'ready' }
  /** This worker cannot run, and neither could its successor. */
  | { type: 'fatal'; reason: string }
  /** Sent at a steady pace: proof that the event loop turns. */
  | { type: 'heartbeat'; stats: Stats }
  /**
   * Since the last such message: tickets of the sockets taken over, the ticket of the last `passed`, number of
   * clients ended, and the ids that `sid=` may name.
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
  /** `server` names the process that carries publications, where that is known and not the primary. */
  | { type: 'brokerStatus'; status: BrokerStatus; server?: string }
  | { type: 'webhookReports'; reports: WebhookReport[] }
  | { type: 'relaySubscribe'; topics: string[] }
  | { type: 'relayUnsubscribe'; topics: string[] }
  /** Which publication does the cache channel keep? */
  | { type: 'relayCacheQuery'; id: number; topic: string }
  /** A request came under this key; `fingerprint` tells whether another one is the same. */
  | { type: 'idempotencyClaim'; id: number; key: string; fingerprint: string }
  /** The work under the key is done. Without an answer it was not done or, where `isUnknown`, may have been done. */
  | { type: 'idempotencyCompleted'; key: string; answer: string | undefined; isUnknown?: boolean }
  /** Connections and subscriptions that came and went here, netted. */
  | { type: 'presence'; deltas: PresenceDelta[] }
  /** Answered by `rosterAnswer`. A question that is watched is followed by events until it is unwatched. */
  | { type: 'presenceQuery'; id: number; query: PresenceQuery; subscribe: false }
  | { type: 'presenceQuery'; id: number; query: Subscribable; subscribe: true }
  /**
   * If there is room, a subscription more of that user here, as if it had been reported; and then a question that is
   * watched.
   */
  | { type: 'presenceJoin'; id: number; join: PresenceJoin; query: PresenceQueryOf<'members'> }
  | { type: 'presenceUnsubscribe'; query: Subscribable };
