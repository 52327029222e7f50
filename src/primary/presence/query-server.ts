import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import {
  type PresenceEvent,
  type PresenceTransition,
  type Subscribable,
  subscriptionKeyOf,
} from '../../shared/model/presence.ts';
import { answerQuery } from './queries.ts';
import type { PresenceListener, PresenceRegistry } from './registry.ts';

/** Events that leave for one worker in one turn: some milliseconds of writing. The rest waits for the next. */
const EVENTS_PER_TURN = 2_000;

/** How long questions are answered in one turn, in ms. The rest waits for the next. */
const ANSWERING_MS = 10;

type FromWorker = Extract<ToPrimary, { type: `presence${string}` }>;
type QueryMessage = Extract<FromWorker, { type: 'presenceQuery' | 'presenceUnsubscribe' }>;
type Answer = Extract<ToWorker, { type: 'presenceAnswer' }>;

/** A worker process as one who asks and watches. */
interface QueryClient {
  readonly send: (message: ToWorker) => void;
  readonly subscriptions: Map<string, Subscribable>;
  /** What is to be sent, in its order. Bounded by the time after which a worker that does not read is killed. */
  outgoing: (PresenceEvent | Answer)[];
  /** Watched channels whose counts have changed; told once, as they are then. */
  readonly countChanged: Set<string>;
}

/**
 * Where workers report and ask. To each of them goes one ordered stream of answers and events, so whoever
 * watches what it asks misses nothing and hears nothing twice.
 *
 * Questions are answered at the end of a turn of the loop, after the reports of all workers that could be read in
 * it. So an answer has whatever was reported, anywhere on this host, before the question was sent: a client whose
 * subscription was confirmed by one worker is there when a backend then asks another.
 */
export class PresenceQueryServer implements PresenceListener {
  readonly #registry: PresenceRegistry;
  readonly #clients = new Map<string, QueryClient>();
  readonly #subscribers = new Map<string, Set<QueryClient>>();
  #queries: [client: QueryClient, question: QueryMessage][] = [];
  #flushScheduled = false;

  constructor(registry: PresenceRegistry) {
    this.#registry = registry;
    registry.addListener(this);
  }

  /** A new process may speak; `name` is its own, and no other's ever. */
  open(name: string, send: (message: ToWorker) => void): void {
    this.#registry.addReplica(name, 'process');
    this.#clients.set(name, { send, subscriptions: new Map(), outgoing: [], countChanged: new Set() });
  }

  /** A process is gone: whoever was only there is gone when this returns. */
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

  /** Counted in its order among what is reported; from then on it is a question as others are. */
  #join(client: QueryClient, name: string, { id, join, query }: FromWorker & { type: 'presenceJoin' }): void {
    if (this.#registry.join(name, join)) {
      this.#queries.push([client, { type: 'presenceQuery', id, query, subscribe: true }]);
    } else client.outgoing.push({ type: 'presenceAnswer', id, answer: 'full' });
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
        // Not to be watched: the counts say it.
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
    for (const client of subscribers) client.countChanged.add(key);
    this.#scheduleFlush();
  }

  #subscribe(client: QueryClient, query: Subscribable): void {
    const key = subscriptionKeyOf(query);
    client.subscriptions.set(key, query);
    const subscribers = this.#subscribers.get(key);
    if (subscribers === undefined) this.#subscribers.set(key, new Set([client]));
    else subscribers.add(client);
  }

  #unsubscribe(client: QueryClient, query: Subscribable): void {
    const key = subscriptionKeyOf(query);
    client.subscriptions.delete(key);
    client.countChanged.delete(key);
    const subscribers = this.#subscribers.get(key);
    subscribers?.delete(client);
    if (subscribers?.size === 0) this.#subscribers.delete(key);
  }

  #notify(key: string, event: PresenceEvent): void {
    const subscribers = this.#subscribers.get(key);
    if (subscribers === undefined) return;
    for (const client of subscribers) client.outgoing.push(event);
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
      this.#flushOne(client);
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
    client.outgoing.push({ type: 'presenceAnswer', id: message.id, answer });
  }

  #collectCounts(client: QueryClient): void {
    for (const key of client.countChanged) {
      const query = client.subscriptions.get(key);
      if (query?.kind !== 'channel') continue;
      const { app, channel } = query;
      const counts = this.#registry.channel(app, channel)?.counts ?? { subscriptions: 0, users: 0 };
      client.outgoing.push({ kind: 'counted', app, channel, ...counts });
    }
    client.countChanged.clear();
  }

  /** Sends what is there in its order, runs of events as one message; what is too much waits a turn. */
  #flushOne(client: QueryClient): void {
    if (client.outgoing.length === 0) return;
    const now = client.outgoing.slice(0, EVENTS_PER_TURN);
    client.outgoing = client.outgoing.slice(EVENTS_PER_TURN);
    if (client.outgoing.length > 0) this.#scheduleFlush();
    let events: PresenceEvent[] = [];
    for (const item of now) {
      if ('kind' in item) {
        events.push(item);
        continue;
      }
      if (events.length > 0) client.send({ type: 'presenceEvents', events });
      events = [];
      client.send(item);
    }
    if (events.length > 0) client.send({ type: 'presenceEvents', events });
  }
}
