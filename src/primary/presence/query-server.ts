import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import {
  type RosterEvent,
  type RosterTransition,
  type Subscribable,
  subscriptionKeyOf,
} from '../../shared/model/presence.ts';
import { answerTo } from './queries.ts';
import type { Roster, RosterListener } from './registry.ts';

/** Events that leave for one worker in one turn: some milliseconds of writing. The rest waits for the next. */
const EVENTS_PER_TURN = 2_000;

/** How long questions are answered in one turn, in ms. The rest waits for the next. */
const ANSWERING_MS = 10;

type FromWorker = Extract<ToPrimary, { type: `roster${string}` }>;
type Question = Extract<FromWorker, { type: 'rosterQuery' | 'rosterUnwatch' }>;
type Answer = Extract<ToWorker, { type: 'rosterAnswer' }>;

/** A worker process as one who asks and watches. */
interface Asker {
  readonly send: (message: ToWorker) => void;
  readonly watched: Map<string, Subscribable>;
  /** What is to be sent, in its order. Bounded by the time after which a worker that does not read is killed. */
  outgoing: (RosterEvent | Answer)[];
  /** Watched channels whose counts have changed; told once, as they are then. */
  readonly counted: Set<string>;
}

/**
 * Where workers report and ask. To each of them goes one ordered stream of answers and events, so whoever
 * watches what it asks misses nothing and hears nothing twice.
 *
 * Questions are answered at the end of a turn of the loop, after the reports of all workers that could be read in
 * it. So an answer has whatever was reported, anywhere on this host, before the question was sent: a client whose
 * subscription was confirmed by one worker is there when a backend then asks another.
 */
export class RosterDesk implements RosterListener {
  readonly #roster: Roster;
  readonly #askers = new Map<string, Asker>();
  readonly #watchers = new Map<string, Set<Asker>>();
  #questions: [asker: Asker, question: Question][] = [];
  #flushScheduled = false;

  constructor(roster: Roster) {
    this.#roster = roster;
    roster.listen(this);
  }

  /** A new process may speak; `name` is its own, and no other's ever. */
  open(name: string, send: (message: ToWorker) => void): void {
    this.#roster.addColumn(name, 'process');
    this.#askers.set(name, { send, watched: new Map(), outgoing: [], counted: new Set() });
  }

  /** A process is gone: whoever was only there is gone when this returns. */
  close(name: string): void {
    const asker = this.#askers.get(name);
    this.#askers.delete(name);
    this.#questions = this.#questions.filter(([other]) => other !== asker);
    if (asker !== undefined) for (const query of asker.watched.values()) this.#unwatch(asker, query);
    this.#roster.dropProcess(name);
  }

  receive(name: string, message: FromWorker): void {
    const asker = this.#askers.get(name);
    if (asker === undefined) return;
    switch (message.type) {
      case 'roster':
        this.#roster.change(name, message.deltas);
        break;
      case 'rosterJoin':
        this.#join(asker, name, message);
        break;
      case 'rosterQuery':
      case 'rosterUnwatch':
        this.#questions.push([asker, message]);
        this.#scheduleFlush();
        break;
      default:
        message satisfies never;
    }
  }

  /** Counted in its order among what is reported; from then on it is a question as others are. */
  #join(asker: Asker, name: string, { id, join, query }: FromWorker & { type: 'rosterJoin' }): void {
    if (this.#roster.admit(name, join)) {
      this.#questions.push([asker, { type: 'rosterQuery', id, query, subscribe: true }]);
    } else asker.outgoing.push({ type: 'rosterAnswer', id, answer: 'full' });
    this.#scheduleFlush();
  }

  transition(transition: RosterTransition): void {
    if (this.#watchers.size === 0) return;
    switch (transition.kind) {
      case 'joined':
      case 'left':
        this.#tell(`members\n${transition.app}\n${transition.channel}`, transition);
        break;
      case 'online':
      case 'offline':
        this.#tell(`user\n${transition.app}\n${transition.user}`, transition);
        break;
      case 'occupied':
      case 'vacated':
        // Not to be watched: the counts say it.
        break;
      default:
        transition satisfies never;
    }
  }

  counted(app: string, channel: string): void {
    if (this.#watchers.size === 0) return;
    const key = `channel\n${app}\n${channel}`;
    const watchers = this.#watchers.get(key);
    if (watchers === undefined) return;
    for (const asker of watchers) asker.counted.add(key);
    this.#scheduleFlush();
  }

  #watch(asker: Asker, query: Subscribable): void {
    const key = subscriptionKeyOf(query);
    asker.watched.set(key, query);
    const watchers = this.#watchers.get(key);
    if (watchers === undefined) this.#watchers.set(key, new Set([asker]));
    else watchers.add(asker);
  }

  #unwatch(asker: Asker, query: Subscribable): void {
    const key = subscriptionKeyOf(query);
    asker.watched.delete(key);
    asker.counted.delete(key);
    const watchers = this.#watchers.get(key);
    watchers?.delete(asker);
    if (watchers?.size === 0) this.#watchers.delete(key);
  }

  #tell(key: string, event: RosterEvent): void {
    const watchers = this.#watchers.get(key);
    if (watchers === undefined) return;
    for (const asker of watchers) asker.outgoing.push(event);
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.#takeQuestions();
    for (const asker of this.#askers.values()) {
      this.#collectCounts(asker);
      this.#flushOne(asker);
    }
  };

  #takeQuestions(): void {
    const until = performance.now() + ANSWERING_MS;
    let taken = 0;
    for (const [asker, question] of this.#questions) {
      this.#take(asker, question);
      taken += 1;
      if (performance.now() > until) break;
    }
    this.#questions = this.#questions.slice(taken);
    if (this.#questions.length > 0) this.#scheduleFlush();
  }

  #take(asker: Asker, question: Question): void {
    if (question.type === 'rosterUnwatch') {
      this.#unwatch(asker, question.query);
      return;
    }
    if (question.subscribe) this.#watch(asker, question.query);
    const answer = answerTo(this.#roster, question.query);
    asker.outgoing.push({ type: 'rosterAnswer', id: question.id, answer });
  }

  #collectCounts(asker: Asker): void {
    for (const key of asker.counted) {
      const query = asker.watched.get(key);
      if (query?.kind !== 'channel') continue;
      const { app, channel } = query;
      const counts = this.#roster.channel(app, channel)?.counts ?? { subscriptions: 0, users: 0 };
      asker.outgoing.push({ kind: 'counted', app, channel, ...counts });
    }
    asker.counted.clear();
  }

  /** Sends what is there in its order, runs of events as one message; what is too much waits a turn. */
  #flushOne(asker: Asker): void {
    if (asker.outgoing.length === 0) return;
    const now = asker.outgoing.slice(0, EVENTS_PER_TURN);
    asker.outgoing = asker.outgoing.slice(EVENTS_PER_TURN);
    if (asker.outgoing.length > 0) this.#scheduleFlush();
    let events: RosterEvent[] = [];
    for (const item of now) {
      if ('kind' in item) {
        events.push(item);
        continue;
      }
      if (events.length > 0) asker.send({ type: 'rosterEvents', events });
      events = [];
      asker.send(item);
    }
    if (events.length > 0) asker.send({ type: 'rosterEvents', events });
  }
}
