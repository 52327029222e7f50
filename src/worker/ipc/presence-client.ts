import { GusherError } from '../../shared/errors/catalogue.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import {
  type MemberList,
  PRESENCE_PAGE_MAX,
  type PresenceAnswer,
  type PresenceAnswers,
  type PresenceEvent,
  type PresenceJoin,
  type PresenceQuery,
  type PresenceQueryKind,
  type PresenceQueryOf,
  type Subscribable,
  subscriptionKeyOf,
} from '../../shared/model/presence.ts';

/** Queries sent and not answered. Answers may be long, and share one pipe. */
const IN_FLIGHT_MAX = 1_000;
/** Attack: queries faster than the primary answers them. */
const WAITING_MAX = 50_000;
const TIMEOUT_MS = 5_000;
const CHECK_MS = 500;

/** Receives the answer, or the error. */
export type QueryCallback<Answer> = (answer: Answer | GusherError) => void;

/** Receives the answer to a join, or the error; returns whether the client still joins. */
export type JoinCallback = (answer: MemberList | GusherError) => boolean;

/** A query, the subscription that it opens, and the member that joins if the channel has room. */
type QueryRequest =
  | { readonly query: PresenceQuery; readonly subscription: undefined; readonly join?: undefined }
  | { readonly query: Subscribable; readonly subscription: Subscription; readonly join?: undefined }
  | {
      readonly query: PresenceQueryOf<'members'>;
      readonly subscription: Subscription;
      readonly join: PresenceJoin;
    };

type PendingQuery = QueryRequest & {
  readonly since: number;
  readonly callback: QueryCallback<PresenceAnswer>;
};

/** A subscription to the changes of one query's answer. */
interface Subscription {
  /** Queries that ask for it and have no answer yet. */
  pendingQueries: number;
  /** The primary sends changes. */
  isLive: boolean;
}

export interface PresenceClientOptions {
  readonly send: (message: ToPrimary) => void;
  /** Sends the reports collected so far: an answer must include every change before its query. */
  readonly flushReports: () => void;
  /** Time after which a query without an answer rejects. */
  readonly timeoutMs?: number;
}

/** Answers presence queries. */
export type PresenceQueries = Pick<PresenceClient, 'query'>;

/** Queries presence from the primary, for this host and all other hosts. */
export class PresenceClient {
  readonly #options: PresenceClientOptions;
  /** Sent queries by id, oldest first. */
  readonly #inFlight = new Map<number, PendingQuery>();
  /** Joins that timed out here; the primary may still accept them. */
  readonly #timedOutJoins = new Map<number, PendingQuery>();
  /** Queries that are sent after the primary has answered others. */
  readonly #waiting = new Set<PendingQuery>();
  readonly #subscriptions = new Map<string, Subscription>();
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;
  #listener: (events: readonly PresenceEvent[]) => void = () => undefined;

  constructor(options: PresenceClientOptions) {
    this.#options = options;
  }

  /** Sets the listener for the events of subscriptions. */
  onEvents(listener: (events: readonly PresenceEvent[]) => void): void {
    this.#listener = listener;
  }

  /** Rejects with `presence_busy` if too many queries wait, and with `presence_timeout` if no answer arrives in time. */
  query<Kind extends PresenceQueryKind>(query: PresenceQueryOf<Kind>): Promise<PresenceAnswers[Kind]> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ query, subscription: undefined }, (answer) => {
        if (answer instanceof GusherError) reject(answer);
        else resolve(answer as PresenceAnswers[Kind]);
      });
    });
  }

  /**
   * Queries, and delivers every change after the answer as an event: none is missed and none is repeated. `callback`
   * runs synchronously with the answer, because a promise would settle after the events that follow. A second
   * subscription to the same query queries again. An error leaves an existing subscription open.
   */
  subscribe<Kind extends Subscribable['kind']>(
    query: PresenceQueryOf<Kind> & Subscribable,
    callback: QueryCallback<PresenceAnswers[Kind]>,
  ): void {
    const subscription = this.#beginSubscription(query);
    this.#enqueue({ query, subscription }, (answer) => {
      this.#continueSubscription(query, subscription, answer);
      callback(answer as PresenceAnswers[Kind] | GusherError);
    });
  }

  /**
   * Adds a subscription of a user if the user is already in the channel or the channel has room, and subscribes to its
   * members; otherwise rejects with `presence_full`. If `callback` returns true, the caller must report the end of that
   * subscription. Otherwise, and after a timeout, this client reverts the join.
   */
  join(join: PresenceJoin, callback: JoinCallback): void {
    const { app, channel } = join;
    const query = { kind: 'members', app, channel, limit: PRESENCE_PAGE_MAX } as const;
    const subscription = this.#beginSubscription(query);
    let hasAnswered = false;
    this.#enqueue({ query, subscription, join }, (answer) => {
      if (!hasAnswered) this.#continueSubscription(query, subscription, answer);
      const isAccepted = !hasAnswered && callback(answer as MemberList | GusherError);
      hasAnswered = true;
      if (!isAccepted && !(answer instanceof GusherError)) this.#revertJoin(join);
    });
  }

  unsubscribe(query: Subscribable): void {
    this.#subscriptions.delete(subscriptionKeyOf(query));
    this.#options.send({ type: 'presenceUnsubscribe', query });
  }

  receive(message: Extract<ToWorker, { type: `presence${string}` }>): void {
    switch (message.type) {
      case 'presenceAnswer':
        this.#resolve(message.id, message.answer);
        break;
      case 'presenceEvents':
        this.#listener(message.events);
        break;
      default:
        message satisfies never;
    }
  }

  /** Rejects every query without an answer. */
  close(): void {
    clearInterval(this.#timer);
    this.#reject(() => true);
  }

  #beginSubscription(query: Subscribable): Subscription {
    const key = subscriptionKeyOf(query);
    const subscription = this.#subscriptions.get(key) ?? { pendingQueries: 0, isLive: false };
    this.#subscriptions.set(key, subscription);
    subscription.pendingQueries += 1;
    return subscription;
  }

  #continueSubscription(
    query: Subscribable,
    subscription: Subscription,
    answer: PresenceAnswer | GusherError,
  ): void {
    subscription.pendingQueries -= 1;
    if (!(answer instanceof GusherError)) subscription.isLive = true;
    else if (
      !subscription.isLive &&
      subscription.pendingQueries === 0 &&
      this.#isSubscribed(query, subscription)
    )
      this.unsubscribe(query);
  }

  #isSubscribed(query: Subscribable, subscription: Subscription): boolean {
    return this.#subscriptions.get(subscriptionKeyOf(query)) === subscription;
  }

  #revertJoin({ app, channel, member: { user } }: PresenceJoin): void {
    this.#options.flushReports();
    this.#options.send({ type: 'presence', deltas: [{ app, channel, user, change: -1 }] });
  }

  #enqueue(request: QueryRequest, callback: QueryCallback<PresenceAnswer>): void {
    if (this.#waiting.size >= WAITING_MAX) {
      callback(new GusherError('presence_busy'));
      return;
    }
    this.#timer ??= setInterval(this.#rejectLate, CHECK_MS).unref();
    this.#waiting.add({ ...request, since: performance.now(), callback });
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    for (const pendingQuery of this.#waiting) {
      if (this.#inFlight.size + this.#timedOutJoins.size >= IN_FLIGHT_MAX) return;
      this.#waiting.delete(pendingQuery);
      this.#send(pendingQuery);
    }
  }

  #send(pendingQuery: PendingQuery): void {
    const { query, subscription, join } = pendingQuery;
    const isSubscribed = subscription !== undefined && this.#isSubscribed(query, subscription);
    if (join !== undefined && !isSubscribed) {
      // Every local subscriber left the channel while the join waited.
      pendingQuery.callback(new GusherError('presence_timeout'));
      return;
    }
    this.#lastId += 1;
    const id = this.#lastId;
    this.#inFlight.set(id, pendingQuery);
    this.#options.flushReports();
    if (join !== undefined) this.#options.send({ type: 'presenceJoin', id, join, query });
    else if (isSubscribed) this.#options.send({ type: 'presenceQuery', id, query, subscribe: true });
    // A subscription that ended while its query waited must not be opened.
    else this.#options.send({ type: 'presenceQuery', id, query, subscribe: false });
  }

  #resolve(id: number, answer: PresenceAnswer | 'full'): void {
    const pendingQuery = this.#inFlight.get(id) ?? this.#timedOutJoins.get(id);
    if (pendingQuery === undefined) return;
    this.#inFlight.delete(id);
    this.#timedOutJoins.delete(id);
    pendingQuery.callback(answer === 'full' ? new GusherError('presence_full') : answer);
    this.#sendWaiting();
  }

  readonly #rejectLate = (): void => {
    const latest = performance.now() - (this.#options.timeoutMs ?? TIMEOUT_MS);
    this.#reject(({ since }) => since <= latest);
    this.#sendWaiting();
  };

  /** Rejects queries, oldest first, up to the first that `isLate` does not accept. */
  #reject(isLate: (pendingQuery: PendingQuery) => boolean): void {
    for (const [id, pendingQuery] of this.#inFlight) {
      if (!isLate(pendingQuery)) break;
      this.#inFlight.delete(id);
      pendingQuery.callback(new GusherError('presence_timeout'));
      if (pendingQuery.join !== undefined) this.#timedOutJoins.set(id, pendingQuery);
    }
    for (const pendingQuery of this.#waiting) {
      if (!isLate(pendingQuery)) break;
      this.#waiting.delete(pendingQuery);
      pendingQuery.callback(new GusherError('presence_timeout'));
    }
  }
}
