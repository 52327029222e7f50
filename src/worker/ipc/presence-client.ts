import { GusherError } from '../../shared/errors/catalogue.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc/messages.ts';
import {
  type MemberList,
  ROSTER_PAGE_MAX,
  type RosterAnswer,
  type RosterAnswers,
  type RosterEvent,
  type RosterJoin,
  type RosterQuery,
  type RosterQueryKind,
  type RosterQueryOf,
  type Watchable,
  watchKeyOf,
} from '../../shared/model/presence.ts';

/** Questions that the primary has at once: their answers may be long, and wait in one line. */
const ASKED_MAX = 1_000;
/** Attack: questions faster than they are answered. */
const WAITING_MAX = 50_000;
const TIMEOUT_MS = 5_000;
const CHECK_MS = 500;

/** Takes the answer, or the reason why there is none. */
export type AnswerTaker<Answer> = (answer: Answer | GusherError) => void;

/** The same of who joins; says whether the place is taken. */
export type PlaceTaker = (answer: MemberList | GusherError) => boolean;

/** What is asked, whether changes are to be told from the answer on, and who joins if there is a place. */
type Asking =
  | { readonly query: RosterQuery; readonly watch: undefined; readonly join?: undefined }
  | { readonly query: Watchable; readonly watch: Watch; readonly join?: undefined }
  | { readonly query: RosterQueryOf<'members'>; readonly watch: Watch; readonly join: RosterJoin };

type Question = Asking & {
  readonly since: number;
  readonly take: AnswerTaker<RosterAnswer>;
};

/** Somebody's interest in the changes of one answer. */
interface Watch {
  /** Questions that ask for it and are not answered. */
  open: number;
  /** The primary tells of changes. */
  isLive: boolean;
}

export interface RosterClientOptions {
  readonly send: (message: ToPrimary) => void;
  /** Sends what was reported so far: a question sees all that came before it. */
  readonly flushReports: () => void;
  /** After which a question is refused. */
  readonly timeoutMs?: number;
}

/** Asks the primary who is present where, on this host and the others. */
export class RosterClient {
  readonly #options: RosterClientOptions;
  /** By id, the oldest first: those that the primary has. */
  readonly #asked = new Map<number, Question>();
  /** Joins that were refused for being late, and that it may have counted. */
  readonly #late = new Map<number, Question>();
  /** Those that it gets when it has answered others. */
  readonly #waiting = new Set<Question>();
  readonly #watches = new Map<string, Watch>();
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;
  #listener: (events: readonly RosterEvent[]) => void = () => undefined;

  constructor(options: RosterClientOptions) {
    this.#options = options;
  }

  /** Who hears of the events of watched questions. */
  listen(listener: (events: readonly RosterEvent[]) => void): void {
    this.#listener = listener;
  }

  /** Rejects with `presence_busy` when too many questions wait, and with `presence_timeout` at the deadline. */
  ask<Kind extends RosterQueryKind>(query: RosterQueryOf<Kind>): Promise<RosterAnswers[Kind]> {
    return new Promise((resolve, reject) => {
      this.#ask({ query, watch: undefined }, (answer) => {
        if (answer instanceof GusherError) reject(answer);
        else resolve(answer as RosterAnswers[Kind]);
      });
    });
  }

  /**
   * Asks, and from the answer on every change comes as an event: none is missed between and none is told twice.
   * For that `take` is called in the turn of the answer; a promise would be settled after the events that follow.
   * To watch a question again is to ask it again. After a refusal it is watched only if it was before.
   */
  watch<Kind extends Watchable['kind']>(
    query: RosterQueryOf<Kind> & Watchable,
    take: AnswerTaker<RosterAnswers[Kind]>,
  ): void {
    const watch = this.#beginWatch(query);
    this.#ask({ query, watch }, (answer) => {
      this.#goOnWatching(query, watch, answer);
      take(answer as RosterAnswers[Kind] | GusherError);
    });
  }

  /**
   * Counts a subscription more, if the user is in the channel already or there is a place, and goes on as `watch` does
   * with the members; else refuses with `presence_full`. Whoever takes the place reports when it is free again. One
   * that nobody takes is given back, also when the answer is late.
   */
  join(join: RosterJoin, take: PlaceTaker): void {
    const { app, channel } = join;
    const query = { kind: 'members', app, channel, limit: ROSTER_PAGE_MAX } as const;
    const watch = this.#beginWatch(query);
    let isOver = false;
    this.#ask({ query, watch, join }, (answer) => {
      if (!isOver) this.#goOnWatching(query, watch, answer);
      const isTaken = !isOver && take(answer as MemberList | GusherError);
      isOver = true;
      if (!isTaken && !(answer instanceof GusherError)) this.#giveBack(join);
    });
  }

  unwatch(query: Watchable): void {
    this.#watches.delete(watchKeyOf(query));
    this.#options.send({ type: 'rosterUnwatch', query });
  }

  receive(message: Extract<ToWorker, { type: `roster${string}` }>): void {
    switch (message.type) {
      case 'rosterAnswer':
        this.#settle(message.id, message.answer);
        break;
      case 'rosterEvents':
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

  #beginWatch(query: Watchable): Watch {
    const key = watchKeyOf(query);
    const watch = this.#watches.get(key) ?? { open: 0, isLive: false };
    this.#watches.set(key, watch);
    watch.open += 1;
    return watch;
  }

  #goOnWatching(query: Watchable, watch: Watch, answer: RosterAnswer | GusherError): void {
    watch.open -= 1;
    if (!(answer instanceof GusherError)) watch.isLive = true;
    // Nothing is known of it any more where it was ended meanwhile.
    else if (!watch.isLive && watch.open === 0 && this.#isWatched(query, watch)) this.unwatch(query);
  }

  #isWatched(query: Watchable, watch: Watch): boolean {
    return this.#watches.get(watchKeyOf(query)) === watch;
  }

  #giveBack({ app, channel, member: { user } }: RosterJoin): void {
    this.#options.flushReports();
    this.#options.send({ type: 'roster', deltas: [{ app, channel, user, change: -1 }] });
  }

  #ask(asking: Asking, take: AnswerTaker<RosterAnswer>): void {
    if (this.#waiting.size >= WAITING_MAX) {
      take(new GusherError('presence_busy'));
      return;
    }
    this.#timer ??= setInterval(this.#rejectLate, CHECK_MS).unref();
    this.#waiting.add({ ...asking, since: performance.now(), take });
    this.#sendSome();
  }

  #sendSome(): void {
    for (const question of this.#waiting) {
      if (this.#asked.size + this.#late.size >= ASKED_MAX) return;
      this.#waiting.delete(question);
      this.#send(question);
    }
  }

  #send(question: Question): void {
    const { query, watch, join } = question;
    const isWatched = watch !== undefined && this.#isWatched(query, watch);
    if (join !== undefined && !isWatched) {
      // All who were in the channel, and wanted to be, have gone while it waited.
      question.take(new GusherError('presence_timeout'));
      return;
    }
    this.#lastId += 1;
    const id = this.#lastId;
    this.#asked.set(id, question);
    this.#options.flushReports();
    if (join !== undefined) this.#options.send({ type: 'rosterJoin', id, join, query });
    // What is no longer to be watched is only asked.
    else if (isWatched) this.#options.send({ type: 'rosterQuery', id, query, watch: true });
    else this.#options.send({ type: 'rosterQuery', id, query, watch: false });
  }

  #settle(id: number, answer: RosterAnswer | 'full'): void {
    const question = this.#asked.get(id) ?? this.#late.get(id);
    // An answer that comes after its deadline has nobody who waits for it.
    if (question === undefined) return;
    this.#asked.delete(id);
    this.#late.delete(id);
    question.take(answer === 'full' ? new GusherError('presence_full') : answer);
    this.#sendSome();
  }

  readonly #rejectLate = (): void => {
    const oldest = performance.now() - (this.#options.timeoutMs ?? TIMEOUT_MS);
    this.#reject(({ since }) => since <= oldest);
    this.#sendSome();
  };

  /** Refuses the oldest, as long as they are such. */
  #reject(isLate: (question: Question) => boolean): void {
    for (const [id, question] of this.#asked) {
      if (!isLate(question)) break;
      this.#asked.delete(id);
      question.take(new GusherError('presence_timeout'));
      if (question.join !== undefined) this.#late.set(id, question);
    }
    for (const question of this.#waiting) {
      if (!isLate(question)) break;
      this.#waiting.delete(question);
      question.take(new GusherError('presence_timeout'));
    }
  }
}
