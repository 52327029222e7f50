import { GusherError } from '../../../../shared/errors/catalogue.ts';
import { type PresenceEvent, subscriptionCost } from '../../../../shared/model/presence.ts';
import { Deferred } from '../../../../shared/scheduling/deferred.ts';
import type { Connection, Reply } from '../../../connection/connection.ts';
import type { Hub } from '../../../hub/hub.ts';
import type { PresenceClient } from '../../../ipc/presence-client.ts';
import { errorText, watchlistText } from '../messages.ts';

/** Concurrent queries for one client. All clients of the worker share the limit of the presence registry. */
const CONCURRENT_QUERIES = 20;

/** A user on the watchlist of a client. */
interface Watched {
  readonly app: string;
  readonly user: string;
  /** `undefined` until the presence registry has answered. */
  isOnline: boolean | undefined;
  /** Resolves after the answer of the presence registry, also after an error. */
  readonly answered: Deferred;
  readonly watchers: Set<Connection>;
}

/** Sends signed-in clients which users on their watchlist are online: once after sign-in, and then each change. */
export class Watchlists {
  readonly #presence: Pick<PresenceClient, 'subscribe' | 'unsubscribe'>;
  readonly #reply: Reply;
  readonly #hub: Pick<Hub, 'reserveNames'>;
  readonly #watched = new Map<string, Watched>();
  /** The watchlist of each client. */
  readonly #lists = new Map<Connection, Watched[]>();
  /** Clients that received the first state. Only these receive changes. */
  readonly #notified = new Set<Connection>();

  constructor(options: {
    presence: Pick<PresenceClient, 'subscribe' | 'unsubscribe'>;
    reply: Reply;
    hub: Pick<Hub, 'reserveNames'>;
  }) {
    this.#hub = options.hub;
    this.#presence = options.presence;
    this.#reply = options.reply;
  }

  /**
   * Watches these users for the client, as many as the limits of the app and the host allow. Resolves after the first state
   * was sent.
   */
  async watch(connection: Connection, users: readonly string[]): Promise<void> {
    const list: Watched[] = [];
    this.#lists.set(connection, list);
    for (let at = 0; at < users.length && this.#lists.has(connection); at += CONCURRENT_QUERIES) {
      const names = users.slice(at, at + CONCURRENT_QUERIES);
      if (!(await this.#reserveNames(connection, names))) break;
      if (!this.#lists.has(connection)) return;
      const batch = names.map((user) => this.#find(connection.appKey, user));
      for (const watched of batch) watched.watchers.add(connection);
      list.push(...batch);
      await Promise.all(batch.map(({ answered }) => answered.promise));
    }
    if (!this.#lists.has(connection)) return;
    this.#notified.add(connection);
    const usersWith = (state: boolean): string[] =>
      list.filter(({ isOnline }) => isOnline === state).map(({ user }) => user);
    this.#reply(connection, watchlistText(usersWith(true), usersWith(false)));
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

  /** Attack: many clients that watch many users. Returns false, and notifies the client, if the names exceed a limit. */
  async #reserveNames(connection: Connection, users: readonly string[]): Promise<boolean> {
    const { appKey: app } = connection;
    const unwatched = users.filter((user) => !this.#watched.has(keyOf(app, user)));
    const bytes = unwatched.reduce((sum, user) => sum + subscriptionCost({ kind: 'user', app, user }), 0);
    try {
      if (bytes > 0) await this.#hub.reserveNames(app, bytes);
      return true;
    } catch (error) {
      if (!(error instanceof GusherError)) throw error;
      if (connection.state === 'open') this.#reply(connection, errorText(error.entry), error.code);
      return false;
    }
  }

  #find(app: string, user: string): Watched {
    const key = keyOf(app, user);
    const existing = this.#watched.get(key);
    if (existing !== undefined) return existing;
    const answered = new Deferred();
    const watched: Watched = { app, user, isOnline: undefined, answered, watchers: new Set() };
    this.#watched.set(key, watched);
    this.#presence.subscribe<'user'>({ kind: 'user', app, user }, (answer) => {
      if (typeof answer === 'number') watched.isOnline = answer > 0;
      // After an error, the next client that watches the user sends a new query.
      else if (this.#watched.get(key) === watched) this.#watched.delete(key);
      answered.resolve();
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

/** An app key never contains a line break. */
function keyOf(app: string, user: string): string {
  return `${app}\n${user}`;
}
