import type { Socket } from 'node:net';
import { type RawData, WebSocket } from 'ws';
import type { Connection, Transport } from './connection.ts';
import type { Frames } from './frame.ts';
import type { FrameWriter, WriteTarget } from './frame-writer.ts';

/** Who hears what happens on client sockets: one object for all of them. */
export interface ClientSocketEvents {
  message(connection: Connection, data: Buffer, isBinary: boolean): void;
  closed(connection: Connection): void;
}

/**
 * A ws socket as the transport of a connection. Frames made once for many clients are written to the TCP
 * socket beside ws, which is sound because both sides only ever write whole frames.
 */
export class ClientSocket extends WebSocket implements Transport, WriteTarget {
  // Set by `attach`, before any event.
  connection!: Connection;
  events!: ClientSocketEvents;
  writer!: FrameWriter;
  stream!: Socket;
  compressed = false;
  directBytes = 0;

  /** To be called once, when the handshake is done. */
  attach(connection: Connection, stream: Socket, writer: FrameWriter, events: ClientSocketEvents): void {
    this.connection = connection;
    this.stream = stream;
    this.writer = writer;
    this.events = events;
    this.compressed = this.extensions !== '';
    this.on('message', onMessage);
    this.on('ping', onSignOfLife);
    this.on('pong', onSignOfLife);
    this.on('error', onProtocolError);
    this.on('close', onClose);
  }

  get unsentBytes(): number {
    return this.compressed ? this.bufferedAmount : this.writer.unsentBytes(this);
  }

  write(frames: Frames): void {
    // Nothing may follow a close frame (RFC 6455 §5.5.1), and ws may have answered one a moment ago.
    if (this.readyState !== WebSocket.OPEN) return;
    // Control frames are never compressed (RFC 7692 §5).
    if (!this.compressed || frames.messages.length === 0) {
      this.writer.write(this, frames.bytes);
      return;
    }
    for (const message of frames.messages) this.send(message, { binary: false });
  }
}

// One set of listeners for all sockets: ws calls them with the socket as `this`.

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  const { connection, events } = this as ClientSocket;
  // ws hands over one Buffer per message unless asked for something else.
  events.message(connection, data as Buffer, isBinary);
}

function onSignOfLife(this: WebSocket): void {
  (this as ClientSocket).connection.heard = true;
}

/** ws has answered with the fitting close code (1002, 1007, 1009) before it tells. */
function onProtocolError(this: WebSocket): void {
  const { connection } = this as ClientSocket;
  if (connection.state === 'open') connection.state = 'closing';
}

function onClose(this: WebSocket): void {
  const { connection, events } = this as ClientSocket;
  connection.state = 'closed';
  events.closed(connection);
}
