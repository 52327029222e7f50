import { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { readUpgradeRequest, type UpgradeRequest } from './upgrade-request.ts';

const HEAD_END = '\r\n\r\n';

/**
 * Receives the sockets of the public port (`connection` events) before the HTTP server. Parses a plain upgrade request
 * itself and emits `upgrade` on the server at once. This keeps parsers, timers and listeners of the HTTP server off
 * long-lived sockets. All other sockets are passed to the HTTP server, from their first byte.
 */
export class UpgradeFastPath extends EventEmitter {
  readonly #server: Server;
  readonly #isUpgrade: (request: UpgradeRequest) => boolean;

  constructor(server: Server, isUpgrade: (request: UpgradeRequest) => boolean) {
    super();
    this.#server = server;
    this.#isUpgrade = isUpgrade;
    // @socket.io/sticky puts the request back into the socket right after this event.
    this.on('connection', (socket: Socket) => process.nextTick(this.#route, socket));
  }

  readonly #route = (socket: Socket): void => {
    const data = socket.read() as Buffer | null;
    // The socket was destroyed in the meantime.
    if (data === null) return;
    const end = data.indexOf(HEAD_END);
    const request = end < 0 ? undefined : readUpgradeRequest(data.toString('latin1', 0, end));
    if (request === undefined || !this.#isUpgrade(request)) {
      // ws sets it for an upgrade that this class parses.
      socket.setNoDelay(true);
      this.#server.emit('connection', socket);
      socket.unshift(data);
    } else {
      this.#server.emit('upgrade', request, socket, data.subarray(end + HEAD_END.length));
    }
  };
}
