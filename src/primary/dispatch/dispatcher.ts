import cluster, { type Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setupMaster as setupPrimary } from '@socket.io/sticky';
import type { BarrierMessage } from '../../shared/ipc/messages.ts';
import type { PendingSocket } from './pending-socket.ts';

/** How long a worker into which a socket did not fit is left alone. */
const FULL_MS = 1_000;
/** How long a worker may take over what it was given before it is asked: long beside what that takes. */
const BARRIER_AFTER_MS = 200;

/** What is known of a worker as a place for clients. */
interface WorkerTarget {
  readonly worker: Worker;
  /** The ports whose pending sockets it takes now. */
  readonly open: Set<PendingSocket['port']>;
  /** When it is given pending sockets again after some did not fit in, in ms of `performance.now()`. */
  fullUntil: number;
  /** Clients given to it and not ended yet. */
  activeConnections: number;
  /** Given to it, by ticket, oldest first, and not yet taken over: ours until it says so. */
  readonly inFlight: Map<number, PendingSocket>;
  /** The last ticket given to it, and the last one that it was asked for. */
  lastHandoffId: number;
  lastBarrierId: number;
}

/**
 * Gives pending sockets to workers. For a client @socket.io/sticky chooses: the worker that `sid` names, else the one with
 * the fewest clients. API sockets go round. The passing itself is done here, since nothing may be lost in it:
 * - sticky is asked with a head that holds nothing but the `sid`; no client can confuse it;
 * - a worker that is not ready or is leaving gets nobody, not even by its `sid`;
 * - our copy of a socket, from which nothing more is read, is kept until the worker has taken over. If the
 *   worker dies before, its pending sockets are handed back for another.
 */
export class SocketDispatcher {
  readonly #sticky = new EventEmitter();
  readonly #targets = new Map<number, WorkerTarget>();
  /** The pending socket that sticky is being asked about; its answer is a call of some worker's `send`. */
  #unassigned: PendingSocket | undefined;
  #lastHandoffId = 0;
  #barrierTimer: NodeJS.Timeout | undefined;

  constructor() {
    setupPrimary(this.#sticky as Server, { loadBalancingMethod: 'least-connection' });
  }

  /** A forked worker becomes known; it gets nobody before it is opened. */
  add(worker: Worker): void {
    const target: WorkerTarget = {
      worker,
      open: new Set(),
      fullUntil: 0,
      activeConnections: 0,
      inFlight: new Map(),
      lastHandoffId: 0,
      lastBarrierId: 0,
    };
    this.#targets.set(worker.id, target);
    // At once, and not when all it said was heard: asked with no worker left, sticky answers the client itself.
    for (const end of ['exit', 'disconnect']) worker.process.once(end, () => target.open.clear());
    // sticky counts when a worker tells it, which lags in a burst; what it compares is replaced by the truth.
    Object.defineProperty(worker, 'clientsCount', {
      get: () => (isOpen(target, 'public') ? target.activeConnections : Number.POSITIVE_INFINITY),
      set: () => undefined,
    });
    const send = worker.send.bind(worker);
    worker.send = ((message: { type?: unknown }, ...rest: []) => {
      if (message.type !== 'sticky:connection') return send(message as never, ...rest);
      return this.#assign(target);
    }) as Worker['send'];
  }

  /** The worker may be given pending sockets of both ports. */
  open(worker: Worker): void {
    this.#targets.get(worker.id)?.open.add('public').add('api');
  }

  /** The worker is given no more pending sockets of that port. */
  close(worker: Worker, port: PendingSocket['port']): void {
    this.#targets.get(worker.id)?.open.delete(port);
  }

  /** Forgets a worker that is gone; answers the pending sockets that it never took. */
  remove(worker: Worker): PendingSocket[] {
    const target = this.#targets.get(worker.id);
    this.#targets.delete(worker.id);
    target?.open.clear();
    return [...(target?.inFlight.values() ?? [])];
  }

  /** Whether workers serve a port, and all of them are out of file descriptors. */
  isFull(port: PendingSocket['port']): boolean {
    const open = [...this.#targets.values()].filter((target) => target.open.has(port));
    return open.length > 0 && open.every((target) => !isOpen(target, port));
  }

  /** Gives a pending socket to a worker; false if none is open. */
  dispatch(pendingSocket: PendingSocket): boolean {
    if (pendingSocket.port === 'api') return this.#dispatchRoundRobin(pendingSocket);
    if (this.#leastConnections() === undefined) return false;
    this.#unassigned = pendingSocket;
    const probe = new StickyProbe();
    this.#sticky.emit('connection', probe);
    probe.emit('data', headFor(pendingSocket));
    const isDispatched = this.#unassigned === undefined;
    this.#unassigned = undefined;
    return isDispatched;
  }

  /**
   * A worker reports what became of its sockets since it last did. Answers pending sockets that did not reach it: the
   * system had no room for them in its process, and told nobody.
   */
  handleReport(
    worker: Worker,
    sockets: { acknowledged: number[]; barrier: number; ended: number; opened: string[]; closed: string[] },
  ): PendingSocket[] {
    const target = this.#targets.get(worker.id);
    if (target === undefined) return [];
    const lost = this.#acknowledge(target, sockets);
    target.activeConnections -= sockets.ended;
    for (const id of sockets.opened) cluster.emit('message', worker, { type: 'sticky:connection', data: id });
    for (const id of sockets.closed)
      cluster.emit('message', worker, { type: 'sticky:disconnection', data: id });
    return lost;
  }

  /** What was sent before `passed` and is not among those taken never came in. */
  #acknowledge(
    target: WorkerTarget,
    { acknowledged, barrier }: { acknowledged: readonly number[]; barrier: number },
  ): PendingSocket[] {
    for (const handoffId of acknowledged) {
      target.inFlight.get(handoffId)?.socket.destroy();
      target.inFlight.delete(handoffId);
    }
    const lost: PendingSocket[] = [];
    for (const [handoffId, pendingSocket] of target.inFlight) {
      if (handoffId > barrier) break;
      target.inFlight.delete(handoffId);
      lost.push(pendingSocket);
    }
    if (lost.length > 0) target.fullUntil = performance.now() + FULL_MS;
    target.activeConnections -= lost.filter(({ port }) => port === 'public').length;
    return lost;
  }

  #assign(chosen: WorkerTarget): boolean {
    const pendingSocket = this.#unassigned;
    const target = isOpen(chosen, 'public') ? chosen : this.#leastConnections();
    if (pendingSocket === undefined || target === undefined) return false;
    this.#unassigned = undefined;
    target.activeConnections += 1;
    return this.#sendHandle(pendingSocket, target, 'sticky:connection');
  }

  #dispatchRoundRobin(pendingSocket: PendingSocket): boolean {
    for (const [id, target] of this.#targets) {
      if (!isOpen(target, 'api')) continue;
      // Behind the others, so that the next one gets the next.
      this.#targets.delete(id);
      this.#targets.set(id, target);
      this.#sendHandle(pendingSocket, target, 'api:connection');
      return true;
    }
    return false;
  }

  #sendHandle(
    pendingSocket: PendingSocket,
    target: WorkerTarget,
    type: 'sticky:connection' | 'api:connection',
  ): boolean {
    // Node keeps count of a server's sockets in other processes, a listener and messages for each; nobody asks.
    (pendingSocket.socket as Socket & { server: unknown }).server = null;
    const handoffId = ++this.#lastHandoffId;
    target.inFlight.set(handoffId, pendingSocket);
    target.lastHandoffId = handoffId;
    this.#barrierTimer ??= setTimeout(this.#sendBarriers, BARRIER_AFTER_MS).unref();
    // Fails only if the channel is closed: then the worker is dying, and its pending sockets come back by `remove`.
    return target.worker.process.send(
      { type, handoffId, data: pendingSocket.data },
      pendingSocket.socket,
      { keepOpen: true },
      ignoreClosedChannel,
    );
  }

  /**
   * The system may lose a socket on the way and tell nobody. So behind the sockets that a worker has not taken over
   * goes a word that they were sent; which a worker that takes them at once, as nearly all do, never needs.
   */
  readonly #sendBarriers = (): void => {
    this.#barrierTimer = undefined;
    for (const target of this.#targets.values()) {
      if (target.inFlight.size === 0) continue;
      this.#barrierTimer ??= setTimeout(this.#sendBarriers, BARRIER_AFTER_MS).unref();
      if (target.lastBarrierId === target.lastHandoffId) continue;
      target.lastBarrierId = target.lastHandoffId;
      const message: BarrierMessage = { type: 'barrier', handoffId: target.lastHandoffId };
      target.worker.process.send(message, ignoreClosedChannel);
    }
  };

  #leastConnections(): WorkerTarget | undefined {
    let least: WorkerTarget | undefined;
    for (const target of this.#targets.values()) {
      if (
        isOpen(target, 'public') &&
        (least === undefined || target.activeConnections < least.activeConnections)
      )
        least = target;
    }
    return least;
  }
}

function isOpen({ open, fullUntil }: WorkerTarget, port: PendingSocket['port']): boolean {
  return open.has(port) && performance.now() >= fullUntil;
}

/**
 * What sticky sees of a client. Not its socket: listeners come and go on that at a price, and a listener for `data` would
 * start to read it.
 */
class StickyProbe extends EventEmitter {
  /** sticky answers by itself when it knows of no worker; then nobody was asked. */
  end(): void {}
  destroy(): void {}
}

/** What sticky needs to see of a request. */
function headFor({ sid }: PendingSocket): Buffer {
  return Buffer.from(sid === undefined ? 'GET / HTTP/1.1\r\n\r\n' : `GET /?sid=${sid} HTTP/1.1\r\n\r\n`);
}

function ignoreClosedChannel(): void {}
