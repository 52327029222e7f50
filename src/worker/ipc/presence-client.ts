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

/** Questions that the primary has at once: their answers may be long, and wait in one line. */
const IN_FLIGHT_MAX = 1_000;
/** Attack: questions faster than they are answered. */
const WAITING_MAX = 50_000;
const TIMEOUT_MS = 5_000;
const CHECK_MS = 500;

/** Takes the answer, or the reason why there is none. */
export type QueryCallback<Answer> = (answer: Answer | GusherError) => void;

/** The same of who joins; says whether the place is taken. */
export type JoinCallback = (answer: MemberList | GusherError) => boolean;

/** What is asked, whether changes are to be told from the answer on, and who joins if there is a place. */
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

/** Somebody's interest in the changes of one answer. */
interface Subscription {
  /** Questions that ask for it and are not answered. */
  open: number;
  /** The primary tells of changes. */
  isLive: boolean;
}

export interface PresenceClientOptions {
  readonly send: (message: ToPrimary) => void;
  /** Sends what was reported so far: a question sees all that came before it. */
  readonly flushReports: () => void;
  /** After which a question is refused. */
  readonly timeoutMs?: number;
}

/** Asks the primary who is present where, on this host and the others. */
export class PresenceClient {
  readonly #options: PresenceClientOptions;
  /** By id, the oldest first: those that the primary has. */
  readonly #inFlight = new Map<number, PendingQuery>();
  /** Joins that were refused for being late, and that it may have counted. */
  readonly #late = new Map<number, PendingQuery>();
  /** Those that it gets when it has answered others. */
  readonly #waiting = new Set<PendingQuery>();
  readonly #subscriptions = new Map<string, Subscription>();
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;
  #listener: (events: readonly PresenceEvent[]) => void = () => undefined;

  constructor(options: PresenceClientOptions) {
    this.#options = options;
  }

  /** Who hears of the events of watched questions. */
  onEvents(listener: (events: readonly PresenceEvent[]) => void): void {
    this.#listener = listener;
  }

  /** Rejects with `presence_busy` when too many questions wait, and with `presence_timeout` at the deadline. */
  query<Kind extends PresenceQueryKind>(query: PresenceQueryOf<Kind>): Promise<PresenceAnswers[Kind]> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ query, subscription: undefined }, (answer) => {
        if (answer instanceof GusherError) reject(answer);
        else resolve(answer as PresenceAnswers[Kind]);
      });
    });
  }

  /**
   * Asks, and from the answer on every change comes as an event: none is missed between and none is told twice.
   * For that `take` is called in the turn of the answer; a promise would be settled after the events that follow.
   * To watch a question again is to ask it again. After an error it is watched only if it was before.
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
   * Counts a subscription more, if the user is in the channel already or there is a place, and goes on as `watch` does
   * with the members; else refuses with `presence_full`. Whoever takes the place reports when it is free again. One
   * that nobody takes is given back, also when the answer is late.
   */
  join(join: PresenceJoin, callback: JoinCallback): void {
    const { app, channel } = join;
    const query = { kind: 'members', app, channel, limit: PRESENCE_PAGE_MAX } as const;
    const subscription = this.#beginSubscription(query);
    let isOver = false;
    this.#enqueue({ query, subscription, join }, (answer) => {
      if (!isOver) this.#continueSubscription(query, subscription, answer);
      const isAccepted = !isOver && callback(answer as MemberList | GusherError);
      isOver = true;
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

  /** Refuses what is open. */
  close(): void {
    clearInterval(this.#timer);
    this.#reject(() => true);
  }

  #beginSubscription(query: Subscribable): Subscription {
    const key = subscriptionKeyOf(query);
    const subscription = this.#subscriptions.get(key) ?? { open: 0, isLive: false };
    this.#subscriptions.set(key, subscription);
    subscription.open += 1;
    return subscription;
  }

  #continueSubscription(
    query: Subscribable,
    subscription: Subscription,
    answer: PresenceAnswer | GusherError,
  ): void {
    subscription.open -= 1;
    if (!(answer instanceof GusherError)) subscription.isLive = true;
    // Nothing is known of it any more where it was ended meanwhile.
    else if (!subscription.isLive && subscription.open === 0 && this.#isSubscribed(query, subscription))
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
    this.#sendSome();
  }

  #sendSome(): void {
    for (const pendingQuery of this.#waiting) {
      if (this.#inFlight.size + this.#late.size >= IN_FLIGHT_MAX) return;
      this.#waiting.delete(pendingQuery);
      this.#send(pendingQuery);
    }
  }

  #send(pendingQuery: PendingQuery): void {
    const { query, subscription, join } = pendingQuery;
    const isSubscribed = subscription !== undefined && this.#isSubscribed(query, subscription);
    if (join !== undefined && !isSubscribed) {
      // All who were in the channel, and wanted to be, have gone while it waited.
      pendingQuery.callback(new GusherError('presence_timeout'));
      return;
    }
    this.#lastId += 1;
    const id = this.#lastId;
    this.#inFlight.set(id, pendingQuery);
    this.#options.flushReports();
    if (join !== undefined) this.#options.send({ type: 'presenceJoin', id, join, query });
    // What is no longer to be watched is only asked.
    else if (isSubscribed) this.#options.send({ type: 'presenceQuery', id, query, subscribe: true });
    else this.#options.send({ type: 'presenceQuery', id, query, subscribe: false });
  }

  #resolve(id: number, answer: PresenceAnswer | 'full'): void {
    const pendingQuery = this.#inFlight.get(id) ?? this.#late.get(id);
    // An answer that comes after its deadline has nobody who waits for it.
    if (pendingQuery === undefined) return;
    this.#inFlight.delete(id);
    this.#late.delete(id);
    pendingQuery.callback(answer === 'full' ? new GusherError('presence_full') : answer);
    this.#sendSome();
  }

  readonly #rejectLate = (): void => {
    const oldest = performance.now() - (this.#options.timeoutMs ?? TIMEOUT_MS);
    this.#reject(({ since }) => since <= oldest);
    this.#sendSome();
  };

  /** Refuses the oldest, as long as they are such. */
  #reject(isLate: (pendingQuery: PendingQuery) => boolean): void {
    for (const [id, pendingQuery] of this.#inFlight) {
      if (!isLate(pendingQuery)) break;
      this.#inFlight.delete(id);
      pendingQuery.callback(new GusherError('presence_timeout'));
      if (pendingQuery.join !== undefined) this.#late.set(id, pendingQuery);
    }
    for (const pendingQuery of this.#waiting) {
      if (!isLate(pendingQuery)) break;
      this.#waiting.delete(pendingQuery);
      pendingQuery.callback(new GusherError('presence_timeout'));
    }
  }
}
