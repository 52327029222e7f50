import type { Socket } from 'node:net';
import type { ErrorEntry } from '../../shared/errors/catalogue.ts';
import type { UnexpectedErrors } from '../../shared/logging/unexpected-errors.ts';
import { countClose, type Stats } from '../../shared/metrics/stats.ts';
import { framePong } from '../websocket/frame.ts';
import type { FrameWriter } from '../websocket/frame-writer.ts';
import type { ClientSocket, ClientSocketEvents } from './client-socket.ts';
import type { Connection } from './connection.ts';
import type { ReceiveQueue } from './receive-queue.ts';
import type { SendQueue } from './send-queue.ts';

/** What keeps the connections of the worker. Implemented by the hub, which this folder must not import. */
interface ConnectionRegistry {
  add(connection: Connection): void;
  remove(connection: Connection): void;
}

export interface ConnectionEventsDependencies {
  readonly registry: ConnectionRegistry;
  readonly receiveQueue: Pick<ReceiveQueue, 'receive' | 'countFrame' | 'defersPong' | 'finishThen'>;
  readonly sendQueue: Pick<SendQueue, 'enqueue' | 'close'>;
  readonly frameWriter: FrameWriter;
  readonly unexpected: UnexpectedErrors;
  readonly stats: Pick<Stats, 'closes'>;
  /** Called after a connection was removed from the registry. */
  readonly onRemoved: (connection: Connection) => void;
}

/**
 * Owns the life of connections after their handshake: registers them, passes what their sockets receive to the
 * receive queue, and removes them when their sockets are closed.
 */
export class ConnectionEvents implements ClientSocketEvents {
  readonly #dependencies: ConnectionEventsDependencies;

  constructor(dependencies: ConnectionEventsDependencies) {
    this.#dependencies = dependencies;
  }

  /** Makes a client whose handshake is complete a connection of this worker. */
  register(connection: Connection, client: ClientSocket, socket: Socket): void {
    client.attach(connection, socket, this.#dependencies.frameWriter, this);
    this.#dependencies.registry.add(connection);
  }

  message(connection: Connection, data: Buffer, isBinary: boolean): void {
    this.#dependencies.receiveQueue.receive(connection, data, isBinary);
  }

  pinged(connection: Connection, data: Buffer): void {
    connection.hadTraffic = true;
    if (!this.#dependencies.receiveQueue.defersPong(connection, data))
      this.#dependencies.sendQueue.enqueue(connection, framePong(data));
  }

  frame(connection: Connection, bytes: number): void {
    this.#dependencies.receiveQueue.countFrame(connection, bytes);
  }

  broken(connection: Connection, error: ErrorEntry): void {
    this.#dependencies.sendQueue.close(connection, error);
  }

  /** Commands that were received before the close are executed first. */
  closed(connection: Connection, code: number): void {
    this.#dependencies.unexpected.run('connection_end', () =>
      this.#dependencies.receiveQueue.finishThen(connection, () => this.#remove(connection, code)),
    );
  }

  #remove(connection: Connection, code: number): void {
    const { registry, stats } = this.#dependencies;
    registry.remove(connection);
    const { closeError, protocol } = connection;
    if (closeError === undefined) countClose(stats, 'client', code);
    else countClose(stats, 'server', protocol.closeFrameFor(closeError, connection).code);
    connection.protocol.connectionClosed?.(connection);
    this.#dependencies.onRemoved(connection);
  }
}
