import { createServer, type Server, type Socket } from 'node:net';
import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/logging/log.ts';
import type { Address } from '../../shared/net/address.ts';
import { createPendingSocket } from '../dispatch/pending-socket.ts';
import type { SocketQueue } from '../dispatch/socket-queue.ts';
import { listen } from './listen.ts';

/**
 * Accepts sockets of the API port and enqueues them unread. With Node's cluster sharing the port, it would close with
 * the only worker, and a socket on its way to a dying worker would hang.
 */
export class ApiListener {
  readonly #address: Address;
  readonly #socketQueue: Pick<SocketQueue, 'enqueue'>;
  readonly #log: Logger;
  readonly #server: Server;

  constructor(options: {
    settings: Pick<Settings, 'apiListen'>;
    socketQueue: Pick<SocketQueue, 'enqueue'>;
    log: Logger;
  }) {
    this.#address = options.settings.apiListen;
    this.#socketQueue = options.socketQueue;
    this.#log = options.log;
    this.#server = createServer({ noDelay: true, pauseOnConnect: true }, this.#onConnection);
  }

  /** Opens the port and resolves with its address. Rejects with an error that names the setting. */
  open(): Promise<Address> {
    const options = { address: this.#address, setting: 'GUSHER_API_LISTEN', name: 'API', log: this.#log };
    return listen(this.#server, options);
  }

  close(): void {
    this.#server.close();
  }

  readonly #onConnection = (socket: Socket): void => {
    this.#socketQueue.enqueue(createPendingSocket(socket, 'api'));
  };
}
