import { createServer, type Server, type Socket } from 'node:net';
import type { Settings } from '../../shared/config/settings.ts';
import type { Logger } from '../../shared/log.ts';
import type { Address } from '../../shared/net/address.ts';
import { createPendingSocket } from '../dispatch/pending-socket.ts';
import type { SocketQueue } from '../dispatch/socket-queue.ts';
import { listen } from './listen.ts';

/**
 * The API port. Its sockets go to the workers unread. Were it shared among the workers by Node's cluster, it
 * would close with the only worker, and whatever was on its way to a worker that dies would hang for ever.
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

  /** Opens the port; resolves with the address, rejects with a sentence if it cannot be had. */
  open(): Promise<Address> {
    const about = { address: this.#address, setting: 'GUSHER_API_LISTEN', name: 'API', log: this.#log };
    return listen(this.#server, about);
  }

  close(): void {
    this.#server.close();
  }

  readonly #onConnection = (socket: Socket): void => {
    this.#socketQueue.enqueue(createPendingSocket(socket, 'api'));
  };
}
