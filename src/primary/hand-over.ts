import cluster, { type Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import { setupMaster as setupPrimary } from '@socket.io/sticky';
import type { Guest } from './guest.ts';

/** What is known of a worker as a place for clients. */
interface Berth {
  readonly worker: Worker;
  open: boolean;
  /** Sockets given to it and not ended yet. */
  load: number;
  /** Given to it, oldest first, and not yet taken over: ours until it says so. */
  readonly inFlight: Guest[];
}

/**
 * Gives guests to workers. @socket.io/sticky chooses: the worker that `sid` names, else the one with the fewest
 * sockets. The passing itself is done here, since nothing may be lost in it:
 * - sticky is asked with a head that holds nothing but the `sid`; no client can confuse it;
 * - a worker that is not ready or is leaving gets nobody, not even by its `sid`;
 * - our copy of a socket, from which nothing more is read, is kept until the worker has taken over. If the
 *   worker dies before, its guests are handed back for another.
 */
export class HandOver {
  readonly #placement = new EventEmitter();
  readonly #berths = new Map<number, Berth>();
  /** The guest that sticky is being asked about; its answer is a call of some worker's `send`. */
  #asked: Guest | undefined;

  constructor() {
    setupPrimary(this.#placement as Server, { loadBalancingMethod: 'least-connection' });
  }

  /** A forked worker becomes known; it gets nobody before it is opened. */
  add(worker: Worker): void {
    const berth: Berth = { worker, open: false, load: 0, inFlight: [] };
    this.#berths.set(worker.id, berth);
    // sticky counts when a worker tells it, which lags in a burst; what it compares is replaced by the truth.
    Object.defineProperty(worker, 'clientsCount', {
      get: () => (berth.open ? berth.load : Number.POSITIVE_INFINITY),
      set: () => undefined,
    });
    const send = worker.send.bind(worker);
    worker.send = ((message: { type?: unknown }, ...rest: []) => {
      if (message.type !== 'sticky:connection') return send(message as never, ...rest);
      return this.#pass(berth);
    }) as Worker['send'];
  }

  open(worker: Worker): void {
    const berth = this.#berths.get(worker.id);
    if (berth !== undefined) berth.open = true;
  }

  close(worker: Worker): void {
    const berth = this.#berths.get(worker.id);
    if (berth !== undefined) berth.open = false;
  }

  /** Forgets a worker that is gone; answers the guests that it never took. */
  remove(worker: Worker): Guest[] {
    const guests = this.#berths.get(worker.id)?.inFlight ?? [];
    this.#berths.delete(worker.id);
    return guests;
  }

  /** Gives a guest to a worker; false if none is open. */
  place(guest: Guest): boolean {
    if (this.#leastLoaded() === undefined) return false;
    this.#asked = guest;
    this.#placement.emit('connection', guest.socket);
    guest.socket.emit('data', questionFor(guest));
    this.#asked = undefined;
    return true;
  }

  /** A worker reports what became of its sockets since it last did. */
  report(
    worker: Worker,
    sockets: { taken: number; ended: number; opened: string[]; closed: string[] },
  ): void {
    const berth = this.#berths.get(worker.id);
    if (berth === undefined) return;
    for (const { socket } of berth.inFlight.splice(0, sockets.taken)) socket.destroy();
    berth.load -= sockets.ended;
    for (const id of sockets.opened) cluster.emit('message', worker, { type: 'sticky:connection', data: id });
    for (const id of sockets.closed)
      cluster.emit('message', worker, { type: 'sticky:disconnection', data: id });
  }

  #pass(chosen: Berth): boolean {
    const guest = this.#asked;
    const berth = chosen.open ? chosen : this.#leastLoaded();
    if (guest === undefined || berth === undefined) return false;
    berth.load += 1;
    berth.inFlight.push(guest);
    // Fails only if the channel is closed: then the worker is dying, and its guests come back by `remove`.
    return berth.worker.process.send(
      { type: 'sticky:connection', data: guest.data },
      guest.socket,
      { keepOpen: true },
      ignoreClosedChannel,
    );
  }

  #leastLoaded(): Berth | undefined {
    let least: Berth | undefined;
    for (const berth of this.#berths.values()) {
      if (berth.open && (least === undefined || berth.load < least.load)) least = berth;
    }
    return least;
  }
}

/** What sticky needs to see of a request. */
function questionFor({ sid }: Guest): Buffer {
  return Buffer.from(sid === undefined ? 'GET / HTTP/1.1\r\n\r\n' : `GET /?sid=${sid} HTTP/1.1\r\n\r\n`);
}

function ignoreClosedChannel(): void {}
