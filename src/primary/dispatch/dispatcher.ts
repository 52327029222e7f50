import cluster, { type Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setupMaster as setupPrimary } from '@socket.io/sticky';
import type { PassedMessage } from '../../shared/ipc/messages.ts';
import type { PendingSocket } from './pending-socket.ts';

/** How long a worker into which a socket did not fit is left alone. */
const FULL_MS = 1_000;
/** How long a worker may take over what it was given before it is asked: long beside what that takes. */
const ASK_AFTER_MS = 200;

/** What is known of a worker as a place for clients. */
interface Berth {
  readonly worker: Worker;
  /** The ports whose guests it takes now. */
  readonly open: Set<PendingSocket['port']>;
  /** When it is given guests again after some did not fit in, in ms of `performance.now()`. */
  fullUntil: number;
  /** Clients given to it and not ended yet. */
  load: number;
  /** Given to it, by ticket, oldest first, and not yet taken over: ours until it says so. */
  readonly inFlight: Map<number, PendingSocket>;
  /** The last ticket given to it, and the last one that it was asked for. */
  lastTicket: number;
  askedTicket: number;
}

/**
 * Gives guests to workers. For a client @socket.io/sticky chooses: the worker that `sid` names, else the one with
 * the fewest clients. API sockets go round. The passing itself is done here, since nothing may be lost in it:
 * - sticky is asked with a head that holds nothing but the `sid`; no client can confuse it;
 * - a worker that is not ready or is leaving gets nobody, not even by its `sid`;
 * - our copy of a socket, from which nothing more is read, is kept until the worker has taken over. If the
 *   worker dies before, its guests are handed back for another.
 */
export class HandOver {
  readonly #placement = new EventEmitter();
  readonly #berths = new Map<number, Berth>();
  /** The guest that sticky is being asked about; its answer is a call of some worker's `send`. */
  #asked: PendingSocket | undefined;
  #lastTicket = 0;
  #asking: NodeJS.Timeout | undefined;

  constructor() {
    setupPrimary(this.#placement as Server, { loadBalancingMethod: 'least-connection' });
  }

  /** A forked worker becomes known; it gets nobody before it is opened. */
  add(worker: Worker): void {
    const berth: Berth = {
      worker,
      open: new Set(),
      fullUntil: 0,
      load: 0,
      inFlight: new Map(),
      lastTicket: 0,
      askedTicket: 0,
    };
    this.#berths.set(worker.id, berth);
    // At once, and not when all it said was heard: asked with no worker left, sticky answers the client itself.
    for (const end of ['exit', 'disconnect']) worker.process.once(end, () => berth.open.clear());
    // sticky counts when a worker tells it, which lags in a burst; what it compares is replaced by the truth.
    Object.defineProperty(worker, 'clientsCount', {
      get: () => (isOpen(berth, 'public') ? berth.load : Number.POSITIVE_INFINITY),
      set: () => undefined,
    });
    const send = worker.send.bind(worker);
    worker.send = ((message: { type?: unknown }, ...rest: []) => {
      if (message.type !== 'sticky:connection') return send(message as never, ...rest);
      return this.#answerIs(berth);
    }) as Worker['send'];
  }

  /** The worker may be given guests of both ports. */
  open(worker: Worker): void {
    this.#berths.get(worker.id)?.open.add('public').add('api');
  }

  /** The worker is given no more guests of that port. */
  close(worker: Worker, port: PendingSocket['port']): void {
    this.#berths.get(worker.id)?.open.delete(port);
  }

  /** Forgets a worker that is gone; answers the guests that it never took. */
  remove(worker: Worker): PendingSocket[] {
    const berth = this.#berths.get(worker.id);
    this.#berths.delete(worker.id);
    berth?.open.clear();
    return [...(berth?.inFlight.values() ?? [])];
  }

  /** Whether workers serve a port, and all of them are out of file descriptors. */
  isFull(port: PendingSocket['port']): boolean {
    const open = [...this.#berths.values()].filter((berth) => berth.open.has(port));
    return open.length > 0 && open.every((berth) => !isOpen(berth, port));
  }

  /** Gives a guest to a worker; false if none is open. */
  place(pendingSocket: PendingSocket): boolean {
    if (pendingSocket.port === 'api') return this.#placeInTurn(pendingSocket);
    if (this.#leastLoaded() === undefined) return false;
    this.#asked = pendingSocket;
    const question = new Question();
    this.#placement.emit('connection', question);
    question.emit('data', headFor(pendingSocket));
    const isPlaced = this.#asked === undefined;
    this.#asked = undefined;
    return isPlaced;
  }

  /**
   * A worker reports what became of its sockets since it last did. Answers guests that did not reach it: the
   * system had no room for them in its process, and told nobody.
   */
  report(
    worker: Worker,
    sockets: { taken: number[]; passed: number; ended: number; opened: string[]; closed: string[] },
  ): PendingSocket[] {
    const berth = this.#berths.get(worker.id);
    if (berth === undefined) return [];
    const lost = this.#settle(berth, sockets);
    berth.load -= sockets.ended;
    for (const id of sockets.opened) cluster.emit('message', worker, { type: 'sticky:connection', data: id });
    for (const id of sockets.closed)
      cluster.emit('message', worker, { type: 'sticky:disconnection', data: id });
    return lost;
  }

  /** What was sent before `passed` and is not among those taken never came in. */
  #settle(berth: Berth, { taken, passed }: { taken: readonly number[]; passed: number }): PendingSocket[] {
    for (const ticket of taken) {
      berth.inFlight.get(ticket)?.socket.destroy();
      berth.inFlight.delete(ticket);
    }
    const lost: PendingSocket[] = [];
    for (const [ticket, pendingSocket] of berth.inFlight) {
      if (ticket > passed) break;
      berth.inFlight.delete(ticket);
      lost.push(pendingSocket);
    }
    if (lost.length > 0) berth.fullUntil = performance.now() + FULL_MS;
    berth.load -= lost.filter(({ port }) => port === 'public').length;
    return lost;
  }

  #answerIs(chosen: Berth): boolean {
    const pendingSocket = this.#asked;
    const berth = isOpen(chosen, 'public') ? chosen : this.#leastLoaded();
    if (pendingSocket === undefined || berth === undefined) return false;
    this.#asked = undefined;
    berth.load += 1;
    return this.#pass(pendingSocket, berth, 'sticky:connection');
  }

  #placeInTurn(pendingSocket: PendingSocket): boolean {
    for (const [id, berth] of this.#berths) {
      if (!isOpen(berth, 'api')) continue;
      // Behind the others, so that the next one gets the next.
      this.#berths.delete(id);
      this.#berths.set(id, berth);
      this.#pass(pendingSocket, berth, 'api:connection');
      return true;
    }
    return false;
  }

  #pass(pendingSocket: PendingSocket, berth: Berth, type: 'sticky:connection' | 'api:connection'): boolean {
    // Node keeps count of a server's sockets in other processes, a listener and messages for each; nobody asks.
    (pendingSocket.socket as Socket & { server: unknown }).server = null;
    const ticket = ++this.#lastTicket;
    berth.inFlight.set(ticket, pendingSocket);
    berth.lastTicket = ticket;
    this.#asking ??= setTimeout(this.#ask, ASK_AFTER_MS).unref();
    // Fails only if the channel is closed: then the worker is dying, and its guests come back by `remove`.
    return berth.worker.process.send(
      { type, ticket, data: pendingSocket.data },
      pendingSocket.socket,
      { keepOpen: true },
      ignoreClosedChannel,
    );
  }

  /**
   * The system may lose a socket on the way and tell nobody. So behind the sockets that a worker has not taken over
   * goes a word that they were sent; which a worker that takes them at once, as nearly all do, never needs.
   */
  readonly #ask = (): void => {
    this.#asking = undefined;
    for (const berth of this.#berths.values()) {
      if (berth.inFlight.size === 0) continue;
      this.#asking ??= setTimeout(this.#ask, ASK_AFTER_MS).unref();
      if (berth.askedTicket === berth.lastTicket) continue;
      berth.askedTicket = berth.lastTicket;
      const message: PassedMessage = { type: 'passed', ticket: berth.lastTicket };
      berth.worker.process.send(message, ignoreClosedChannel);
    }
  };

  #leastLoaded(): Berth | undefined {
    let least: Berth | undefined;
    for (const berth of this.#berths.values()) {
      if (isOpen(berth, 'public') && (least === undefined || berth.load < least.load)) least = berth;
    }
    return least;
  }
}

function isOpen({ open, fullUntil }: Berth, port: PendingSocket['port']): boolean {
  return open.has(port) && performance.now() >= fullUntil;
}

/**
 * What sticky sees of a client. Not its socket: listeners come and go on that at a price, and a listener for `data` would
 * start to read it.
 */
class Question extends EventEmitter {
  /** sticky answers by itself when it knows of no worker; then nobody was asked. */
  end(): void {}
  destroy(): void {}
}

/** What sticky needs to see of a request. */
function headFor({ sid }: PendingSocket): Buffer {
  return Buffer.from(sid === undefined ? 'GET / HTTP/1.1\r\n\r\n' : `GET /?sid=${sid} HTTP/1.1\r\n\r\n`);
}

function ignoreClosedChannel(): void {}
