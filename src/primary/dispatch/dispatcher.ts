import type { Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import type { BarrierMessage, SocketMessage } from '../../shared/ipc/messages.ts';
import type { AddressConnections } from './address-connections.ts';
import type { PendingSocket } from './pending-socket.ts';
import { CLIENT_MESSAGE, StickyBalancer } from './sticky-balancer.ts';

/** How long a worker without free descriptors gets no socket. */
const FULL_MS = 1_000;
/** How long a worker has to acknowledge a socket before a barrier follows: many times what that usually takes. */
const BARRIER_AFTER_MS = 200;

/** A worker as a destination of sockets. */
interface WorkerTarget {
  readonly worker: Worker;
  /** The ports whose sockets it accepts now. */
  readonly open: Set<PendingSocket['port']>;
  /** Until when it gets no socket because it had no free descriptor, in ms of `performance.now()`. */
  fullUntil: number;
  activeConnections: number;
  /** Sent and not acknowledged, by handoff id, oldest first. */
  readonly inFlight: Map<number, PendingSocket>;
  /** The ids of the last socket and of the last barrier that it was sent. */
  lastHandoffId: number;
  lastBarrierId: number;
}

/** What a worker reports of its sockets since its last report. */
export interface SocketReport {
  readonly acknowledged: readonly number[];
  readonly barrier: number;
  /** Handoff ids of sockets that closed. */
  readonly ended: readonly number[];
  readonly opened: readonly string[];
  readonly closed: readonly string[];
}

/**
 * Gives pending sockets to workers: a client to the worker that its `sid` names, otherwise to the one with the fewest
 * connections; API sockets in turn. No socket may be lost:
 * - A worker that is not ready or is draining gets no socket, even if a `sid` names it.
 * - The primary keeps its copy of a socket, and does not read it, until the worker acknowledges it. If the worker
 *   dies before that, `remove` returns the socket for another worker.
 */
export class SocketDispatcher {
  readonly #balancer = new StickyBalancer();
  readonly #targets = new Map<number, WorkerTarget>();
  readonly #addresses: AddressConnections;
  #lastHandoffId = 0;
  #barrierTimer: NodeJS.Timeout | undefined;

  constructor({ addresses }: { addresses: AddressConnections }) {
    this.#addresses = addresses;
  }

  /** Adds a forked worker, which gets no socket before `open`. */
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
    // Node removes the worker from the cluster on these events, before all its messages are read.
    for (const end of ['exit', 'disconnect']) worker.process.once(end, () => target.open.clear());
    this.#balancer.add(worker, () =>
      isOpen(target, 'public') ? target.activeConnections : Number.POSITIVE_INFINITY,
    );
  }

  /** From now on the worker gets sockets of both ports. */
  open(worker: Worker): void {
    this.#targets.get(worker.id)?.open.add('public').add('api');
  }

  /** From now on the worker gets no socket of that port. */
  close(worker: Worker, port: PendingSocket['port']): void {
    this.#targets.get(worker.id)?.open.delete(port);
  }

  /** Removes a worker that exited, and returns the sockets that it did not acknowledge. */
  remove(worker: Worker): PendingSocket[] {
    const target = this.#targets.get(worker.id);
    this.#targets.delete(worker.id);
    target?.open.clear();
    this.#addresses.removeWorker(worker.id);
    return [...(target?.inFlight.values() ?? [])];
  }

  /** Whether workers serve a port, and none of them has a free descriptor. */
  isFull(port: PendingSocket['port']): boolean {
    const open = [...this.#targets.values()].filter((target) => target.open.has(port));
    return open.length > 0 && open.every((target) => !isOpen(target, port));
  }

  /** Sends a pending socket to a worker; false if no worker accepts sockets of its port. */
  dispatch(pendingSocket: PendingSocket): boolean {
    return pendingSocket.port === 'api'
      ? this.#dispatchRoundRobin(pendingSocket)
      : this.#dispatchClient(pendingSocket);
  }

  /** Handles the report of a worker. Returns the sockets that never reached the process. */
  handleReport(worker: Worker, report: SocketReport): PendingSocket[] {
    const target = this.#targets.get(worker.id);
    if (target === undefined) return [];
    const lost = this.#acknowledge(target, report);
    target.activeConnections -= report.ended.length;
    for (const handoffId of report.ended) this.#addresses.remove(worker.id, handoffId);
    this.#balancer.addIds(worker, report.opened);
    this.#balancer.removeIds(worker, report.closed);
    return lost;
  }

  /** A socket that was sent before the barrier and is not acknowledged with it was lost on the way. */
  #acknowledge(target: WorkerTarget, { acknowledged, barrier }: SocketReport): PendingSocket[] {
    for (const handoffId of acknowledged) {
      target.inFlight.get(handoffId)?.socket.destroy();
      target.inFlight.delete(handoffId);
    }
    const lost: PendingSocket[] = [];
    for (const [handoffId, pendingSocket] of target.inFlight) {
      if (handoffId > barrier) break;
      target.inFlight.delete(handoffId);
      this.#addresses.remove(target.worker.id, handoffId);
      lost.push(pendingSocket);
    }
    if (lost.length > 0) target.fullUntil = performance.now() + FULL_MS;
    target.activeConnections -= lost.filter(({ port }) => port === 'public').length;
    return lost;
  }

  #dispatchClient(pendingSocket: PendingSocket): boolean {
    const fallback = this.#leastConnections();
    if (fallback === undefined) return false;
    const worker = this.#balancer.choose(pendingSocket.sid);
    const chosen = worker && this.#targets.get(worker.id);
    const target = chosen !== undefined && isOpen(chosen, 'public') ? chosen : fallback;
    target.activeConnections += 1;
    this.#sendHandle(pendingSocket, target, CLIENT_MESSAGE);
    return true;
  }

  #dispatchRoundRobin(pendingSocket: PendingSocket): boolean {
    for (const [id, target] of this.#targets) {
      if (!isOpen(target, 'api')) continue;
      // Moves to the end, so that the next socket goes to the next worker.
      this.#targets.delete(id);
      this.#targets.set(id, target);
      this.#sendHandle(pendingSocket, target, 'api:connection');
      return true;
    }
    return false;
  }

  #sendHandle(pendingSocket: PendingSocket, target: WorkerTarget, type: SocketMessage['type']): void {
    // With a server, Node.js would count it in that process, at the cost of a listener and messages per socket.
    (pendingSocket.socket as Socket & { server: unknown }).server = null;
    const handoffId = ++this.#lastHandoffId;
    target.inFlight.set(handoffId, pendingSocket);
    target.lastHandoffId = handoffId;
    const { addressGroup } = pendingSocket;
    if (addressGroup !== undefined) this.#addresses.add(target.worker.id, handoffId, addressGroup);
    this.#barrierTimer ??= setTimeout(this.#sendBarriers, BARRIER_AFTER_MS).unref();
    const message: SocketMessage = { type, handoffId, data: pendingSocket.data };
    // Fails only if the channel is closed: the worker is dying, and `remove` will return the socket.
    target.worker.process.send(message, pendingSocket.socket, { keepOpen: true }, ignoreClosedChannel);
  }

  /**
   * The system drops a socket without an error if the worker has no free descriptor. A worker that does not
   * acknowledge its sockets soon gets a barrier after them: what it has not received by then is lost.
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
      if (!isOpen(target, 'public')) continue;
      if (least === undefined || target.activeConnections < least.activeConnections) least = target;
    }
    return least;
  }
}

function isOpen({ open, fullUntil }: WorkerTarget, port: PendingSocket['port']): boolean {
  return open.has(port) && performance.now() >= fullUntil;
}

function ignoreClosedChannel(): void {}
