import type { ToPrimary, ToWorker } from '../../shared/ipc.ts';
import { type RosterEvent, type RosterTransition, type Watchable, watchKeyOf } from '../../shared/roster.ts';
import { answerTo } from './answers.ts';
import type { Roster, RosterListener } from './roster.ts';

/** Events that leave for one worker in one turn: some milliseconds of writing. The rest waits for the next. */
const EVENTS_PER_TURN = 2_000;

type FromWorker = Extract<ToPrimary, { type: `roster${string}` }>;
type Answer = Extract<ToWorker, { type: 'rosterAnswer' }>;

/** A worker process as one who asks and watches. */
interface Asker {
  readonly send: (message: ToWorker) => void;
  readonly watched: Map<string, Watchable>;
  /** What is to be sent, in its order. Bounded by the time after which a worker that does not read is killed. */
  outgoing: (RosterEvent | Answer)[];
  /** Watched channels whose counts have changed; told once, as they are then. */
  readonly counted: Set<string>;
}

/**
 * Where workers report and ask. To each of them goes one ordered stream of answers and events, so whoever
 * watches what it asks misses nothing and hears nothing twice.
 */
export class RosterDesk implements RosterListener {
  readonly #roster: Roster;
  readonly #askers = new Map<string, Asker>();
  readonly #watchers = new Map<string, Set<Asker>>();
  #flushRequested = false;

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
    for (const query of this.#askers.get(name)?.watched.values() ?? []) this.#unwatch(name, query);
    this.#askers.delete(name);
    this.#roster.dropProcess(name);
  }

  receive(name: string, message: FromWorker): void {
    const asker = this.#askers.get(name);
    if (asker === undefined) return;
    switch (message.type) {
      case 'roster':
        this.#roster.change(name, message.deltas);
        break;
      case 'rosterQuery':
        if (message.watch) this.#watch(asker, message.query);
        asker.outgoing.push({
          type: 'rosterAnswer',
          id: message.id,
          answer: answerTo(this.#roster, message.query),
        });
        this.#flushOne(asker);
        break;
      case 'rosterUnwatch':
        this.#unwatch(name, message.query);
        break;
      default:
        message satisfies never;
    }
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
    this.#requestFlush();
  }

  #watch(asker: Asker, query: Watchable): void {
    const key = watchKeyOf(query);
    asker.watched.set(key, query);
    const watchers = this.#watchers.get(key);
    if (watchers === undefined) this.#watchers.set(key, new Set([asker]));
    else watchers.add(asker);
  }

  #unwatch(name: string, query: Watchable): void {
    const asker = this.#askers.get(name);
    if (asker === undefined) return;
    const key = watchKeyOf(query);
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
    this.#requestFlush();
  }

  #requestFlush(): void {
    if (this.#flushRequested) return;
    this.#flushRequested = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushRequested = false;
    for (const asker of this.#askers.values()) {
      this.#collectCounts(asker);
      this.#flushOne(asker);
    }
  };

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
    if (asker.outgoing.length > 0) this.#requestFlush();
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
