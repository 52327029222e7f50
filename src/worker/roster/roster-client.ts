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

/** Attack: questions faster than they are answered. */
const OPEN_MAX = 1_000;
const DEADLINE_MS = 5_000;
const CHECK_MS = 500;

/** Takes the answer, or the reason why there is none. */
export type AnswerTaker<Answer> = (answer: Answer | RefusalError) => void;

interface OpenQuestion {
  readonly askedAt: number;
  readonly take: AnswerTaker<RosterAnswer>;
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
  /** By id, the oldest first. */
  readonly #open = new Map<number, OpenQuestion>();
  /** What is watched, from the first answer on. */
  readonly #watched = new Set<string>();
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

  /** Rejects with `roster_busy` when too many questions are open, and with `roster_late` at the deadline. */
  ask<Kind extends RosterQueryKind>(query: RosterQueryOf<Kind>): Promise<RosterAnswers[Kind]> {
    return new Promise((resolve, reject) => {
      this.#ask({ query, watch: false }, (answer) => {
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
    this.#ask({ query, watch: true }, (answer) => {
      const key = watchKeyOf(query);
      if (!(answer instanceof RefusalError)) this.#watched.add(key);
      else if (!this.#watched.has(key)) this.unwatch(query);
      take(answer as RosterAnswers[Kind] | RefusalError);
    });
  }

  unwatch(query: Watchable): void {
    this.#watched.delete(watchKeyOf(query));
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
    for (const id of [...this.#open.keys()]) this.#settle(id, new RefusalError('roster_late'));
  }

  #ask(
    question: { query: RosterQuery; watch: false } | { query: Watchable; watch: true },
    take: AnswerTaker<RosterAnswer>,
  ): void {
    if (this.#open.size >= OPEN_MAX) {
      take(new RefusalError('roster_busy'));
      return;
    }
    this.#lastId += 1;
    this.#open.set(this.#lastId, { askedAt: performance.now(), take });
    this.#timer ??= setInterval(this.#refuseLate, CHECK_MS).unref();
    this.#options.flushReports();
    this.#options.send({ type: 'rosterQuery', id: this.#lastId, ...question });
  }

  #settle(id: number, answer: RosterAnswer | RefusalError): void {
    const question = this.#open.get(id);
    // An answer that comes after its deadline has nobody who waits for it.
    if (question === undefined) return;
    this.#open.delete(id);
    question.take(answer);
  }

  readonly #refuseLate = (): void => {
    const oldest = performance.now() - (this.#options.deadlineMs ?? DEADLINE_MS);
    for (const [id, { askedAt }] of this.#open) {
      if (askedAt > oldest) break;
      this.#settle(id, new RefusalError('roster_late'));
    }
  };
}
