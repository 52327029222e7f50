import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import {
  type PresenceEvent,
  type PresenceTransition,
  type Subscribable,
  subscriptionCost,
  subscriptionKeyOf,
} from '../../shared/model/presence.ts';
import { answerQuery } from './queries.ts';
import type { PresenceListener, PresenceRegistry } from './registry.ts';

/** Maximum events sent to one worker per turn of the event loop: some milliseconds of writing. */
const EVENTS_PER_TURN = 2_000;

/** Time spent on queries per turn of the event loop, in ms. */
const ANSWERING_MS = 10;

type FromWorker = Extract<ToPrimary, { type: `presence${string}` }>;
type QueryMessage = Extract<FromWorker, { type: 'presenceQuery' | 'presenceUnsubscribe' }>;
type Answer = Extract<ToWorker, { type: 'presenceAnswer' }>;
type Outgoing =
  | { readonly kind: 'event'; readonly event: PresenceEvent }
  | { readonly kind: 'answer'; readonly answer: Answer };

/** A worker process that sends queries and subscribes to changes. */
interface QueryClient {
  readonly send: (message: ToWorker) => void;
  readonly subscriptions: Map<string, Subscribable>;
  /** In order. Bounded, because a worker that does not read is killed after the liveness timeout. */
  outgoing: Outgoing[];
  /** Subscribed channels whose counts have changed; the worker gets one event with the latest counts. */
  readonly changedCounts: Set<string>;
}

/**
 * Receives the presence reports and queries of workers. Each worker gets one ordered stream of answers and events, so a
 * subscriber misses no change and gets none twice.
 *
 * Queries are answered at the end of a turn of the event loop, after all reports that could be read in it. An answer thus
 * includes every report that any worker of this host sent before the query: if one worker has confirmed a subscription,
 * a backend that then queries another worker sees it.
 */
export class PresenceQueryServer implements PresenceListener {
  readonly #registry: PresenceRegistry;
  readonly #clients = new Map<string, QueryClient>();
  readonly #subscribers = new Map<string, Set<QueryClient>>();
  #queries: [client: QueryClient, query: QueryMessage][] = [];
  #flushScheduled = false;
  /** By app: the cost of the names in subscriptions. */
  readonly #nameBytes = new Map<string, number>();

  constructor(registry: PresenceRegistry) {
    this.#registry = registry;
    registry.addListener(this);
  }

  /** The cost of the names that workers subscribe to, in one app or in all. */
  nameBytesOf(app?: string): number {
    if (app !== undefined) return this.#nameBytes.get(app) ?? 0;
    let sum = 0;
    for (const bytes of this.#nameBytes.values()) sum += bytes;
    return sum;
  }

  /** Adds a worker process. `name` must be unique for the life of the primary. */
  open(name: string, send: (message: ToWorker) => void): void {
    this.#registry.addReplica(name, 'process');
    this.#clients.set(name, { send, subscriptions: new Map(), outgoing: [], changedCounts: new Set() });
  }

  /** Removes a process. When this returns, users who were only there have left. */
  close(name: string): void {
    const client = this.#clients.get(name);
    this.#clients.delete(name);
    this.#queries = this.#queries.filter(([other]) => other !== client);
    if (client !== undefined)
      for (const query of client.subscriptions.values()) this.#unsubscribe(client, query);
    this.#registry.dropProcess(name);
  }

  receive(name: string, message: FromWorker): void {
    const client = this.#clients.get(name);
    if (client === undefined) return;
    switch (message.type) {
      case 'presence':
        this.#registry.change(name, message.deltas);
        break;
      case 'presenceJoin':
        this.#join(client, name, message);
        break;
      case 'presenceQuery':
      case 'presenceUnsubscribe':
        this.#queries.push([client, message]);
        this.#scheduleFlush();
        break;
      default:
        message satisfies never;
    }
  }

  /** The join takes effect in order with the reports. Its answer is that of a query. */
  #join(client: QueryClient, name: string, { id, join, query }: FromWorker & { type: 'presenceJoin' }): void {
    if (this.#registry.join(name, join)) {
      this.#queries.push([client, { type: 'presenceQuery', id, query, subscribe: true }]);
    } else {
      client.outgoing.push({ kind: 'answer', answer: { type: 'presenceAnswer', id, answer: 'full' } });
    }
    this.#scheduleFlush();
  }

  transition(transition: PresenceTransition): void {
    if (this.#subscribers.size === 0) return;
    switch (transition.kind) {
      case 'joined':
      case 'left':
        this.#notify(`members\n${transition.app}\n${transition.channel}`, transition);
        break;
      case 'online':
      case 'offline':
        this.#notify(`user\n${transition.app}\n${transition.user}`, transition);
        break;
      case 'occupied':
      case 'vacated':
        // Subscribers of a channel get its counts instead.
        break;
      default:
        transition satisfies never;
    }
  }

  countChanged(app: string, channel: string): void {
    if (this.#subscribers.size === 0) return;
    const key = `channel\n${app}\n${channel}`;
    const subscribers = this.#subscribers.get(key);
    if (subscribers === undefined) return;
    for (const client of subscribers) client.changedCounts.add(key);
    this.#scheduleFlush();
  }

  #subscribe(client: QueryClient, query: Subscribable): void {
    const key = subscriptionKeyOf(query);
    if (!client.subscriptions.has(key)) this.#countName(query, 1);
    client.subscriptions.set(key, query);
    const subscribers = this.#subscribers.get(key);
    if (subscribers === undefined) this.#subscribers.set(key, new Set([client]));
    else subscribers.add(client);
  }

  #unsubscribe(client: QueryClient, query: Subscribable): void {
    const key = subscriptionKeyOf(query);
    if (client.subscriptions.delete(key)) this.#countName(query, -1);
    client.changedCounts.delete(key);
    const subscribers = this.#subscribers.get(key);
    subscribers?.delete(client);
    if (subscribers?.size === 0) this.#subscribers.delete(key);
  }

  #countName(query: Subscribable, sign: 1 | -1): void {
    const bytes = (this.#nameBytes.get(query.app) ?? 0) + sign * subscriptionCost(query);
    if (bytes > 0) this.#nameBytes.set(query.app, bytes);
    else this.#nameBytes.delete(query.app);
  }

  #notify(key: string, event: PresenceEvent): void {
    const subscribers = this.#subscribers.get(key);
    if (subscribers === undefined) return;
    const item: Outgoing = { kind: 'event', event };
    for (const client of subscribers) client.outgoing.push(item);
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.#answerQueries();
    for (const client of this.#clients.values()) {
      this.#collectCounts(client);
      this.#flushClient(client);
    }
  };

  #answerQueries(): void {
    const until = performance.now() + ANSWERING_MS;
    let answered = 0;
    for (const [client, message] of this.#queries) {
      this.#answer(client, message);
      answered += 1;
      if (performance.now() > until) break;
    }
    this.#queries = this.#queries.slice(answered);
    if (this.#queries.length > 0) this.#scheduleFlush();
  }

  #answer(client: QueryClient, message: QueryMessage): void {
    if (message.type === 'presenceUnsubscribe') {
      this.#unsubscribe(client, message.query);
      return;
    }
    if (message.subscribe) this.#subscribe(client, message.query);
    const answer = answerQuery(this.#registry, message.query);
    client.outgoing.push({ kind: 'answer', answer: { type: 'presenceAnswer', id: message.id, answer } });
  }

  #collectCounts(client: QueryClient): void {
    for (const key of client.changedCounts) {
      const query = client.subscriptions.get(key);
      if (query?.kind !== 'channel') continue;
      const { app, channel } = query;
      const counts = this.#registry.channel(app, channel)?.counts ?? { subscriptions: 0, users: 0 };
      client.outgoing.push({ kind: 'event', event: { kind: 'counted', app, channel, ...counts } });
    }
    client.changedCounts.clear();
  }

  /** Sends answers and events in order, successive events as one message. The excess waits for the next turn. */
  #flushClient(client: QueryClient): void {
    if (client.outgoing.length === 0) return;
    const now = client.outgoing.slice(0, EVENTS_PER_TURN);
    client.outgoing = client.outgoing.slice(EVENTS_PER_TURN);
    if (client.outgoing.length > 0) this.#scheduleFlush();
    let events: PresenceEvent[] = [];
    for (const item of now) {
      if (item.kind === 'event') {
        events.push(item.event);
        continue;
      }
      if (events.length > 0) client.send({ type: 'presenceEvents', events });
      events = [];
      client.send(item.answer);
    }
    if (events.length > 0) client.send({ type: 'presenceEvents', events });
  }
}
