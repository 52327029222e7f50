import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { readUpgradeRequest, type UpgradeRequest } from './upgrade-request.ts';

const HEAD_END = '\r\n\r\n';

/**
 * Stands before the HTTP server of the public port and sorts what arrives (`connection` events). A plain upgrade
 * is read here, and is an `upgrade` event of the server at once: nothing of an HTTP server then ever clings to a
 * socket that is to stay. Everything else is the server's, from its first byte.
 */
export class UpgradeFastPath extends EventEmitter {
  readonly #server: Server;
  readonly #isUpgrade: (request: UpgradeRequest) => boolean;

  constructor(server: Server, isUpgrade: (request: UpgradeRequest) => boolean) {
    super();
    this.#server = server;
    this.#isUpgrade = isUpgrade;
    // @socket.io/sticky puts the request back into the socket just after it has told of it.
    this.on('connection', (socket: Socket) => process.nextTick(this.#sort, socket));
  }

  readonly #sort = (socket: Socket): void => {
    const data = socket.read() as Buffer | null;
    // It was destroyed a moment ago.
    if (data === null) return;
    const end = data.indexOf(HEAD_END);
    const request = end < 0 ? undefined : readUpgradeRequest(data.toString('latin1', 0, end));
    if (request === undefined || !this.#isUpgrade(request)) {
      this.#server.emit('connection', socket);
      socket.unshift(data);
    } else {
      this.#server.emit('upgrade', request, socket, data.subarray(end + HEAD_END.length));
    }
  };
}
