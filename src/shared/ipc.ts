import type { App } from './app.ts';
import type { Settings } from './config.ts';
import type { CONTROL_TOPIC } from './control.ts';
import type { KeptPublication, Publication } from './publication.ts';
import type { RosterAnswer, RosterDelta, RosterEvent, RosterQuery, Watchable } from './roster.ts';
import type { Stats } from './stats.ts';
import type { WebhookEvent } from './webhook-event.ts';

/**
 * What crosses between the primary and a worker: two closed unions, keyed by `type`. @socket.io/sticky reads
 * `type` of every message on the same channel, so none of ours may begin with its `sticky:`.
 */

/** One publication and the topic that carries it. */
export interface RelayedPublication {
  readonly topic: string;
  readonly publication: Publication;
}

/** One control message, as the text that brokers carry. */
export interface RelayedControl {
  readonly topic: typeof CONTROL_TOPIC;
  readonly control: string;
}

export type RelayItem = RelayedPublication | RelayedControl;

/** The answer to `relayAsk`, in its place among the publications. */
export interface RelayedAnswer {
  readonly id: number;
  readonly kept: KeptPublication | undefined;
}

/** What an item costs in memory, in bytes: about two per character, and the objects around them. */
export function sizeOfItem(item: RelayItem): number {
  if ('control' in item) return 2 * (item.topic.length + item.control.length) + 200;
  const { channel, event, data, text = '' } = item.publication;
  return 2 * (item.topic.length + channel.length + event.length + data.length + text.length) + 200;
}

/** With a socket: a client, whose first bytes are `data` (@socket.io/sticky's own), or one for the API. */
export interface SocketMessage {
  readonly type: 'sticky:connection' | 'api:connection';
  /** What the worker names it by when it has taken it over. */
  readonly ticket: number;
  readonly data: Buffer;
}

/** What a worker saw that the webhook of an app may be told. */
export interface WebhookReport {
  readonly app: string;
  readonly event: WebhookEvent;
}

export type BrokerLink = 'connecting' | 'live' | 'lost' | 'closed';

export type ToWorker =
  /** The answer to `born`: everything a worker needs to know. */
  | { type: 'start'; settings: Settings; slot: number; demoApp: App | undefined }
  /** The state of the whole host, after each change. `live`: every worker's broker link is. */
  | { type: 'host'; live: boolean; stopping: boolean }
  /** Close your clients within the deadline, tell them to come back, and exit. */
  | { type: 'drain'; deadlineMs: number }
  /** All sockets up to that ticket that are for this worker were sent before; to be repeated in `sockets`. */
  | { type: 'passed'; ticket: number }
  /**
   * Publications for topics that this worker asked for; and of its own `relayPublish` messages, so many of the
   * oldest that were not confirmed yet have been passed on.
   */
  | { type: 'relay'; items: (RelayItem | RelayedAnswer)[]; taken: number }
  /** Your oldest `relaySubscribe` that was not confirmed yet is in effect. */
  | { type: 'relaySubscribed' }
  /** The answer to the `idempotencyClaim` of that id. `yours`: do the work and settle the key. */
  | {
      type: 'idempotencyVerdict';
      id: number;
      verdict: { kind: 'yours' } | { kind: 'done'; answer: string } | { kind: 'mismatch' };
    }
  /** The answer to the `rosterQuery` of that id. Answers and events are in the order in which things came to be. */
  | { type: 'rosterAnswer'; id: number; answer: RosterAnswer }
  /** What changed, since the answer, in what this worker watches. */
  | { type: 'rosterEvents'; events: RosterEvent[] };

/** What a worker's channel carries: one message, or several that go together, in their order. */
export type FromWorker = ToPrimary | { type: 'several'; messages: ToPrimary[] };

export type ToPrimary =
  /** First message: this process listens now; what was sent to it before is lost. */
  | { type: 'born' }
  /** Settings arrived, broker tried, connections welcome. */
  | { type: 'ready' }
  /** This worker cannot run, and neither could its successor. */
  | { type: 'fatal'; reason: string }
  /** Sent at a steady pace: proof that the event loop turns. */
  | { type: 'beat'; stats: Stats }
  /**
   * Since the last such message: tickets of the sockets taken over, the ticket of the last `passed`, number of
   * clients ended, and the ids that `sid=` may name.
   */
  | { type: 'sockets'; taken: number[]; passed: number; ended: number; opened: string[]; closed: string[] }
  | { type: 'link'; state: BrokerLink }
  | { type: 'webhookReports'; reports: WebhookReport[] }
  | { type: 'relaySubscribe'; topics: string[] }
  | { type: 'relayUnsubscribe'; topics: string[] }
  | { type: 'relayPublish'; items: RelayItem[] }
  /** Which publication does the cache channel keep? */
  | { type: 'relayAsk'; id: number; topic: string }
  /** So many of your oldest `relay` messages with items that were not confirmed yet were delivered. */
  | { type: 'relayTaken'; count: number }
  /** A request came under this key; `fingerprint` tells whether another one is the same. */
  | { type: 'idempotencyClaim'; id: number; key: string; fingerprint: string }
  /** The work under the key is done, or with no answer was not done. */
  | { type: 'idempotencySettled'; key: string; answer: string | undefined }
  /** Connections and subscriptions that came and went here, netted. */
  | { type: 'roster'; deltas: RosterDelta[] }
  /** Answered by `rosterAnswer`. A question that is watched is followed by events until it is unwatched. */
  | { type: 'rosterQuery'; id: number; query: RosterQuery; watch: false }
  | { type: 'rosterQuery'; id: number; query: Watchable; watch: true }
  | { type: 'rosterUnwatch'; query: Watchable };
