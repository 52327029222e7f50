import type { Connection } from '../connection/connection.ts';

const NO_CONNECTIONS: ReadonlySet<Connection> = new Set();

/** Finds the connections of this worker by app and user. Anonymous connections are not indexed. */
export class UserIndex {
  readonly #apps = new Map<string, Map<string, Set<Connection>>>();

  find(appKey: string, userId: string): ReadonlySet<Connection> {
    return this.#apps.get(appKey)?.get(userId) ?? NO_CONNECTIONS;
  }

  add(connection: Connection): void {
    const { appKey, userId } = connection;
    if (userId === '') return;
    const users = this.#apps.get(appKey) ?? new Map<string, Set<Connection>>();
    this.#apps.set(appKey, users);
    const connections = users.get(userId);
    if (connections === undefined) users.set(userId, new Set([connection]));
    else connections.add(connection);
  }

  remove(connection: Connection): void {
    const { appKey, userId } = connection;
    const users = this.#apps.get(appKey);
    const connections = users?.get(userId);
    connections?.delete(connection);
    if (connections?.size === 0) users?.delete(userId);
    if (users?.size === 0) this.#apps.delete(appKey);
  }
}
