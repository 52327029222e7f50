import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { ERRORS, type ErrorEntry } from '../../shared/errors/catalogue.ts';
import type { Frames } from '../websocket/frame.ts';
import type { FrameWriter, StreamHandle, WriteTarget } from '../websocket/frame-writer.ts';
import { type FrameListener, listenToFrames } from '../websocket/ws-receiver-patch.ts';
import type { Connection, InboundMessage, Transport } from './connection.ts';

/** Pings that are answered while a client waits to be attached; then what it sends waits in its socket. */
const EARLY_PINGS_MAX = 100;

/** Who hears what happens on client sockets: one object for all of them. */
export interface ClientSocketEvents {
  message(connection: Connection, data: Buffer, isBinary: boolean): void;
  /** A frame that is no whole message: a ping, a pong, a close, or a fragment that is not the last one. */
  frame(connection: Connection): void;
  /** A ping, which wants its `data` back in a pong (RFC 6455 §5.5.3). */
  pinged(connection: Connection, data: Buffer): void;
  closed(connection: Connection): void;
  /** The client broke a rule of WebSocket: the connection must end with the close code of `error`. */
  broken(connection: Connection, error: ErrorEntry): void;
}

/** The close codes by which ws ends a connection whose client breaks a rule, and what they stand for. */
export const WS_CLOSE_CODES: ReadonlyMap<number, ErrorEntry> = new Map(
  [ERRORS.bad_frame, ERRORS.bad_utf8, ERRORS.too_many_fragments, ERRORS.message_too_long].map((error) => [
    error.close ?? 0,
    error,
  ]),
);

/** Who keeps clients waiting that are no connections yet: one object for all of them. */
export interface PendingClientHandler {
  /** The client has gone. */
  pendingClientClosed(client: ClientSocket): void;
}

/**
 * A ws socket as the transport of a connection. Frames made once for many clients are written to the TCP
 * socket beside ws, which is sound because both sides only ever write whole frames.
 */
export class ClientSocket extends WebSocket implements Transport, WriteTarget, FrameListener {
  /** Set by `attach`; a client that is turned away never has one, and nobody hears of it. */
  connection: Connection | undefined;
  // Set by `attach`, before anybody hears of an event.
  events!: ClientSocketEvents;
  writer!: FrameWriter;
  stream!: Socket;
  compressed = false;
  handle: StreamHandle | undefined = undefined;
  /** ws has written the answer to the handshake. What it writes later, nothing of ours follows. */
  streamed = true;
  directBytes = 0;
  /** Set by `hold`. */
  pendingHandler: PendingClientHandler | undefined;
  /** What a client has said before it was attached. */
  earlyMessages: InboundMessage[] | undefined;
  earlyPings = 0;

  /** To be called once, when the handshake is done. */
  attach(connection: Connection, stream: Socket, writer: FrameWriter, events: ClientSocketEvents): void {
    this.connection = connection;
    this.stream = stream;
    this.writer = writer;
    this.events = events;
    this.compressed = this.extensions !== '';
    writer.open(this);
    listenToFrames(this, this);
  }

  /**
   * Keeps a client that is to be attached later, or never. It is read from, or else nobody would notice that it goes;
   * when it speaks, what was read is kept and the rest stays in its socket.
   */
  waitForAdmission(pendingHandler: PendingClientHandler): void {
    this.pendingHandler = pendingHandler;
  }

  /** Takes in what the client has said before it was attached. */
  replayEarlyMessages(): void {
    const { connection, earlyMessages } = this;
    if (connection === undefined) return;
    if (this.earlyPings > EARLY_PINGS_MAX) this.resume();
    if (earlyMessages === undefined) return;
    this.earlyMessages = undefined;
    this.resume();
    for (const { data, isBinary } of earlyMessages) this.events.message(connection, data, isBinary);
  }

  /** ws closes without a reason when the client breaks a rule; all other closes have one, or answer a close. */
  override close(code?: number, reason?: string | Buffer): void {
    const error = reason === undefined ? WS_CLOSE_CODES.get(code ?? 0) : undefined;
    if (error === undefined) super.close(code, reason);
    else if (this.connection?.state === 'open') this.events.broken(this.connection, error);
    else super.close(code, error.message);
  }

  /** ws tells what happens by events; heard here, they need no listeners on each socket. */
  override emit(event: string | symbol, data?: unknown, isBinary?: unknown): boolean {
    const { connection, events } = this;
    if (connection === undefined) {
      this.#handlePending(event, data, isBinary);
      return true;
    }
    switch (event) {
      case 'message':
        // ws hands over one Buffer per message unless asked for something else.
        events.message(connection, data as Buffer, isBinary as boolean);
        return true;
      case 'ping':
        events.pinged(connection, data as Buffer);
        return true;
      case 'pong':
        connection.ponged = true;
        return true;
      case 'error':
        // ws has answered with the fitting close code (1002, 1007, 1009) before it tells.
        if (connection.state === 'open') connection.state = 'closing';
        return true;
      case 'close':
        connection.state = 'closed';
        events.closed(connection);
        return true;
      default:
        return super.emit(event, data, isBinary);
    }
  }

  #handlePending(event: string | symbol, data: unknown, isBinary: unknown): void {
    if (this.pendingHandler === undefined) return;
    if (event === 'close') this.pendingHandler.pendingClientClosed(this);
    if (event === 'ping') this.#answerEarly(data as Buffer);
    if (event !== 'message') return;
    this.earlyMessages ??= [];
    this.earlyMessages.push({ data: data as Buffer, isBinary: isBinary as boolean });
    this.pause();
  }

  /** RFC 6455 §5.5.2: a ping is answered, also before the client is attached. Attack: pings as fast as they go. */
  #answerEarly(data: Buffer): void {
    this.earlyPings += 1;
    if (this.earlyPings > EARLY_PINGS_MAX) this.pause();
    else if (this.readyState === WebSocket.OPEN) this.pong(data);
  }

  frameBegan(): void {
    if (this.connection !== undefined) this.events.frame(this.connection);
  }

  get receivedBytes(): number {
    return this.stream.bytesRead;
  }

  get sentBytes(): number {
    return this.stream.bytesWritten;
  }

  get address(): string | undefined {
    return this.stream.remoteAddress;
  }

  get unsentBytes(): number {
    return this.compressed ? this.bufferedAmount : this.writer.unsentBytes(this);
  }

  write(frames: Frames): void {
    // Nothing may follow a close frame (RFC 6455 §5.5.1), and ws may have answered one a moment ago.
    if (this.readyState !== WebSocket.OPEN) return;
    if (frames.messages.length > 0 && this.connection !== undefined) this.connection.hadTraffic = true;
    if (!this.compressed) {
      this.writer.write(this, frames.bytes);
      return;
    }
    for (const control of frames.controls) this.stream.write(control);
    for (const message of frames.messages) this.send(message, { binary: false });
  }
}
