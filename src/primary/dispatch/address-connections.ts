/**
 * Counts the open connections of each client address over all workers. A connection counts from its handoff until the
 * worker reports its end, or the worker exits. Only counted addresses use memory, one entry per connection.
 */
export class AddressConnections {
  readonly #counts = new Map<string, number>();
  /** Per worker, the address group of each connection by its handoff id. */
  readonly #byWorker = new Map<number, Map<number, string>>();

  /** The number of open connections of an address group. */
  count(group: string): number {
    return this.#counts.get(group) ?? 0;
  }

  /** Counts a connection that is handed off to a worker. */
  add(workerId: number, handoffId: number, group: string): void {
    let groups = this.#byWorker.get(workerId);
    if (groups === undefined) {
      groups = new Map();
      this.#byWorker.set(workerId, groups);
    }
    groups.set(handoffId, group);
    this.#counts.set(group, this.count(group) + 1);
  }

  /** Stops counting a connection that ended or never reached the worker. Unknown ids are ignored. */
  remove(workerId: number, handoffId: number): void {
    const groups = this.#byWorker.get(workerId);
    const group = groups?.get(handoffId);
    if (groups === undefined || group === undefined) return;
    groups.delete(handoffId);
    this.#decrement(group);
  }

  /** Stops counting all connections of a worker that exited. */
  removeWorker(workerId: number): void {
    for (const group of this.#byWorker.get(workerId)?.values() ?? []) this.#decrement(group);
    this.#byWorker.delete(workerId);
  }

  #decrement(group: string): void {
    const count = this.count(group) - 1;
    if (count > 0) this.#counts.set(group, count);
    else this.#counts.delete(group);
  }
}
