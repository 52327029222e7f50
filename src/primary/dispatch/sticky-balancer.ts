import cluster, { type Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import { setupMaster as setupPrimary } from '@socket.io/sticky';

/** The type of the message with which the worker's half of @socket.io/sticky accepts a client. */
export const CLIENT_MESSAGE = 'sticky:connection';

/**
 * Chooses the worker of a client with @socket.io/sticky: the worker that `sid` names, otherwise the one with the
 * fewest connections. The library can only send sockets, so this class passes it a stand-in for each socket, and
 * records the worker to which it sends that. The dispatcher sends the socket itself.
 *
 * The request head of a stand-in holds nothing but the `sid`. Attack: a request that the library reads differently.
 */
export class StickyBalancer {
  readonly #sticky = new EventEmitter();
  #chosen: Worker | undefined;

  constructor() {
    setupPrimary(this.#sticky as Server, { loadBalancingMethod: 'least-connection' });
  }

  /** Adds a worker. `load` returns its connections, or infinity if it must not be chosen. */
  add(worker: Worker, load: () => number): void {
    // The library counts by messages of the worker, which lag in a burst.
    Object.defineProperty(worker, 'clientsCount', { get: load, set: ignoreCount });
    const send = worker.send.bind(worker);
    worker.send = ((message: { type?: unknown }, ...rest: []) => {
      if (message.type !== CLIENT_MESSAGE) return send(message as never, ...rest);
      this.#chosen = worker;
      return true;
    }) as Worker['send'];
  }

  /** Returns the worker for a client; `undefined` if no worker exists. The worker may have died or be draining. */
  choose(sid: string | undefined): Worker | undefined {
    const standIn = new SocketStandIn();
    this.#sticky.emit('connection', standIn);
    standIn.emit('data', requestHead(sid));
    const chosen = this.#chosen;
    this.#chosen = undefined;
    return chosen;
  }

  /** From now on these ids lead to the worker. */
  addIds(worker: Worker, ids: readonly string[]): void {
    for (const data of ids) cluster.emit('message', worker, { type: CLIENT_MESSAGE, data });
  }

  removeIds(worker: Worker, ids: readonly string[]): void {
    for (const data of ids) cluster.emit('message', worker, { type: 'sticky:disconnection', data });
  }
}

/** Replaces the socket, because the library adds a `data` listener, which would start to read the socket. */
class SocketStandIn extends EventEmitter {
  /** The library ends a socket itself when it knows no worker. */
  end(): void {}
  destroy(): void {}
}

function requestHead(sid: string | undefined): Buffer {
  return Buffer.from(sid === undefined ? 'GET / HTTP/1.1\r\n\r\n' : `GET /?sid=${sid} HTTP/1.1\r\n\r\n`);
}

function ignoreCount(): void {}
