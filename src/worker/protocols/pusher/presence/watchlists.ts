import type { PresenceEvent } from '../../../../shared/model/presence.ts';
import type { Connection } from '../../../connection/connection.ts';
import type { PresenceClient } from '../../../ipc/presence-client.ts';
import { watchlistText } from '../messages.ts';

/** Questions of one client that are open at once: all clients of the worker share what the presence registry takes. */
const CONCURRENT_QUERIES = 20;

/** A user whom clients of this worker watch. */
interface Watched {
  readonly app: string;
  readonly user: string;
  /** `undefined` until the presence registry has said it. */
  isOnline: boolean | undefined;
  readonly answered: Promise<void>;
  readonly watchers: Set<Connection>;
}

/** Tells signed-in clients which of the users they watch are online: at first, and when that changes. */
export class Watchlists {
  readonly #presence: Pick<PresenceClient, 'subscribe' | 'unsubscribe'>;
  readonly #reply: (connection: Connection, text: string) => void;
  readonly #watched = new Map<string, Watched>();
  /** Whom each client watches. */
  readonly #lists = new Map<Connection, Watched[]>();
  /** Those who were told the state at first, and so hear of changes. */
  readonly #notified = new Set<Connection>();

  constructor(options: {
    presence: Pick<PresenceClient, 'subscribe' | 'unsubscribe'>;
    reply: (connection: Connection, text: string) => void;
  }) {
    this.#presence = options.presence;
    this.#reply = options.reply;
  }

  /** From now on the client watches these users. Resolves when it was told of them. */
  async watch(connection: Connection, users: readonly string[]): Promise<void> {
    const list: Watched[] = [];
    this.#lists.set(connection, list);
    for (let at = 0; at < users.length && this.#lists.has(connection); at += CONCURRENT_QUERIES) {
      const some = users
        .slice(at, at + CONCURRENT_QUERIES)
        .map((user) => this.#find(connection.appKey, user));
      for (const watched of some) watched.watchers.add(connection);
      list.push(...some);
      await Promise.all(some.map(({ answered }) => answered));
    }
    if (!this.#lists.has(connection)) return;
    this.#notified.add(connection);
    const named = (state: boolean): string[] =>
      list.filter(({ isOnline }) => isOnline === state).map(({ user }) => user);
    this.#reply(connection, watchlistText(named(true), named(false)));
  }

  remove(connection: Connection): void {
    const list = this.#lists.get(connection);
    if (list === undefined) return;
    this.#lists.delete(connection);
    this.#notified.delete(connection);
    for (const watched of list) {
      watched.watchers.delete(connection);
      if (watched.watchers.size === 0) this.#drop(watched);
    }
  }

  handleEvent({ kind, app, user }: Extract<PresenceEvent, { kind: 'online' | 'offline' }>): void {
    const watched = this.#watched.get(keyOf(app, user));
    if (watched === undefined) return;
    const isOnline = kind === 'online';
    if (watched.isOnline === isOnline) return;
    watched.isOnline = isOnline;
    const text = isOnline ? watchlistText([user], []) : watchlistText([], [user]);
    for (const connection of watched.watchers)
      if (this.#notified.has(connection)) this.#reply(connection, text);
  }

  #find(app: string, user: string): Watched {
    const key = keyOf(app, user);
    const present = this.#watched.get(key);
    if (present !== undefined) return present;
    let resolveAnswered: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => {
      resolveAnswered = resolve;
    });
    const watched: Watched = { app, user, isOnline: undefined, answered, watchers: new Set() };
    this.#watched.set(key, watched);
    this.#presence.subscribe<'user'>({ kind: 'user', app, user }, (answer) => {
      if (typeof answer === 'number') watched.isOnline = answer > 0;
      // Whoever watches the user next asks again.
      else if (this.#watched.get(key) === watched) this.#watched.delete(key);
      resolveAnswered();
    });
    return watched;
  }

  #drop(watched: Watched): void {
    const { app, user } = watched;
    if (this.#watched.get(keyOf(app, user)) !== watched) return;
    this.#watched.delete(keyOf(app, user));
    this.#presence.unsubscribe({ kind: 'user', app, user });
  }
}

/** No app key has a line break. */
function keyOf(app: string, user: string): string {
  return `${app}\n${user}`;
}
