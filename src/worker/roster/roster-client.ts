import { RefusalError } from '../../shared/errors.ts';
import type { ToPrimary, ToWorker } from '../../shared/ipc.ts';
import {
  type RosterAnswer,
  type RosterAnswers,
  type RosterEvent,
  type RosterQuery,
  type RosterQueryKind,
  type RosterQueryOf,
  type Watchable,
  watchKeyOf,
} from '../../shared/roster.ts';

/** Questions that the primary has at once: their answers may be long, and wait in one line. */
const ASKED_MAX = 1_000;
/** Attack: questions faster than they are answered. */
const WAITING_MAX = 50_000;
const DEADLINE_MS = 5_000;
const CHECK_MS = 500;

/** Takes the answer, or the reason why there is none. */
export type AnswerTaker<Answer> = (answer: Answer | RefusalError) => void;

/** What is asked, and whether changes are to be told from the answer on. */
type Asking =
  | { readonly query: RosterQuery; readonly watch: undefined }
  | { readonly query: Watchable; readonly watch: Watch };

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
  readonly deadlineMs?: number;
}

/** Asks the primary who is present where, on this host and the others. */
export class RosterClient {
  readonly #options: RosterClientOptions;
  /** By id, the oldest first: those that the primary has. */
  readonly #asked = new Map<number, Question>();
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

  /** Rejects with `roster_busy` when too many questions wait, and with `roster_late` at the deadline. */
  ask<Kind extends RosterQueryKind>(query: RosterQueryOf<Kind>): Promise<RosterAnswers[Kind]> {
    return new Promise((resolve, reject) => {
      this.#ask({ query, watch: undefined }, (answer) => {
        if (answer instanceof RefusalError) reject(answer);
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
    const key = watchKeyOf(query);
    const watch = this.#watches.get(key) ?? { open: 0, isLive: false };
    this.#watches.set(key, watch);
    watch.open += 1;
    this.#ask({ query, watch }, (answer) => {
      watch.open -= 1;
      if (!(answer instanceof RefusalError)) watch.isLive = true;
      // Nothing is known of it any more where it was ended meanwhile.
      else if (!watch.isLive && watch.open === 0 && this.#watches.get(key) === watch) this.unwatch(query);
      take(answer as RosterAnswers[Kind] | RefusalError);
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
    this.#refuse(() => true);
  }

  #ask(asking: Asking, take: AnswerTaker<RosterAnswer>): void {
    if (this.#waiting.size >= WAITING_MAX) {
      take(new RefusalError('roster_busy'));
      return;
    }
    this.#timer ??= setInterval(this.#refuseLate, CHECK_MS).unref();
    this.#waiting.add({ ...asking, since: performance.now(), take });
    this.#sendSome();
  }

  #sendSome(): void {
    for (const question of this.#waiting) {
      if (this.#asked.size >= ASKED_MAX) return;
      this.#waiting.delete(question);
      this.#send(question);
    }
  }

  #send(question: Question): void {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#asked.set(id, question);
    this.#options.flushReports();
    // What is no longer to be watched is only asked.
    this.#options.send(
      question.watch !== undefined && this.#watches.get(watchKeyOf(question.query)) === question.watch
        ? { type: 'rosterQuery', id, query: question.query, watch: true }
        : { type: 'rosterQuery', id, query: question.query, watch: false },
    );
  }

  #settle(id: number, answer: RosterAnswer): void {
    const question = this.#asked.get(id);
    // An answer that comes after its deadline has nobody who waits for it.
    if (question === undefined) return;
    this.#asked.delete(id);
    question.take(answer);
    this.#sendSome();
  }

  readonly #refuseLate = (): void => {
    const oldest = performance.now() - (this.#options.deadlineMs ?? DEADLINE_MS);
    this.#refuse(({ since }) => since <= oldest);
    this.#sendSome();
  };

  /** Refuses the oldest, as long as they are such. */
  #refuse(isLate: (question: Question) => boolean): void {
    for (const [id, question] of this.#asked) {
      if (!isLate(question)) break;
      this.#asked.delete(id);
      question.take(new RefusalError('roster_late'));
    }
    for (const question of this.#waiting) {
      if (!isLate(question)) break;
      this.#waiting.delete(question);
      question.take(new RefusalError('roster_late'));
    }
  }
}
