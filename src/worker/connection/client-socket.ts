import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { ERRORS, type ErrorEntry } from '../../shared/errors/catalogue.ts';
import type { Frames } from '../websocket/frame.ts';
import type { FrameWriter, StreamHandle, WriteTarget } from '../websocket/frame-writer.ts';
import { type FrameListener, listenToFrames } from '../websocket/ws-receiver-patch.ts';
import type { Connection, InboundMessage, Transport } from './connection.ts';

/** Frames beside one message that are read from a client before it is attached. */
const EARLY_FRAMES_MAX = 100;

/** Handles the events of all client sockets of a worker: one object, instead of listeners for each socket. */
export interface ClientSocketEvents {
  message(connection: Connection, data: Buffer, isBinary: boolean): void;
  /** A frame that is not a whole message: a ping, a pong, a close, or a fragment other than the last one. */
  frame(connection: Connection, bytes: number): void;
  /** A ping. The pong must carry the same `data` (RFC 6455 §5.5.3). */
  pinged(connection: Connection, data: Buffer): void;
  /** `code` is the close code of the client, or 1006 without a close frame. */
  closed(connection: Connection, code: number): void;
  /** The client violated RFC 6455: the connection must close with the code of `error`. */
  broken(connection: Connection, error: ErrorEntry): void;
}

/** The errors behind the codes with which ws closes a connection that violates RFC 6455. */
export const WS_CLOSE_CODES: ReadonlyMap<number, ErrorEntry> = new Map(
  [ERRORS.bad_frame, ERRORS.bad_utf8, ERRORS.too_many_fragments, ERRORS.message_too_long].map((error) => [
    error.close ?? 0,
    error,
  ]),
);

/** Keeps clients that are not connections yet: one object for many clients. */
export interface PendingClientHandler {
  /** The socket of the client is closed. */
  pendingClientClosed(client: ClientSocket): void;
}

/**
 * A ws socket as the transport of a connection. Shared frames are written to the TCP socket directly, past ws. That is
 * safe because ws and the frame writer both write only whole frames.
 *
 * The class overrides `emit` of `EventEmitter`, so that a worker needs no listeners and no closures for each socket.
 * `emit` is public API of Node, and ws documents its events. `client-socket.test.ts` proves that all of them arrive.
 */
export class ClientSocket extends WebSocket implements Transport, WriteTarget, FrameListener {
  /** Set by `attach`. A client that is rejected never has one. */
  connection: Connection | undefined;
  // Set by `attach`, before the first use.
  events!: ClientSocketEvents;
  writer!: FrameWriter;
  stream!: Socket;
  compressed = false;
  handle: StreamHandle | undefined = undefined;
  /** True at first: ws has written the 101 to the stream. After its only later write, a close, no frames follow. */
  streamed = true;
  directBytes = 0;
  /** Set by `waitForAdmission`. */
  pendingHandler: PendingClientHandler | undefined;
  /** Messages that were received before the client was attached. */
  earlyMessages: InboundMessage[] | undefined;
  earlyFrames = 0;

  /** Makes the client a connection. Must be called once, after the handshake. */
  attach(connection: Connection, stream: Socket, writer: FrameWriter, events: ClientSocketEvents): void {
    this.connection = connection;
    this.stream = stream;
    this.writer = writer;
    this.events = events;
    this.compressed = this.extensions !== '';
    writer.open(this);
  }

  /** To be called once, before anything is read from the client. */
  countFrames(): void {
    listenToFrames(this, this);
  }

  /**
   * Keeps a client that is attached later, or never. It is still read, because only a read detects the end of its
   * socket. After its first message reading pauses: the message is kept, and the rest stays in the socket.
   */
  waitForAdmission(pendingHandler: PendingClientHandler): void {
    this.pendingHandler = pendingHandler;
  }

  /** Handles the messages that were received before the client was attached. */
  replayEarlyMessages(): void {
    const { connection, earlyMessages } = this;
    if (connection === undefined) return;
    if (this.earlyFrames > EARLY_FRAMES_MAX) this.resume();
    if (earlyMessages === undefined) return;
    this.earlyMessages = undefined;
    this.resume();
    for (const { data, isBinary } of earlyMessages) this.events.message(connection, data, isBinary);
  }

  /** ws closes without a reason if the client violates RFC 6455. All other closes have a reason, or answer a close. */
  override close(code?: number, reason?: string | Buffer): void {
    const error = reason === undefined ? WS_CLOSE_CODES.get(code ?? 0) : undefined;
    if (error === undefined) super.close(code, reason);
    else if (this.connection?.state === 'open') this.events.broken(this.connection, error);
    else super.close(code, error.message);
  }

  /** Receives every event of ws. See the class for the reason. */
  override emit(event: string | symbol, data?: unknown, isBinary?: unknown): boolean {
    const { connection, events } = this;
    if (connection === undefined) {
      this.#handlePending(event, data, isBinary);
      return true;
    }
    switch (event) {
      case 'message':
        // With the default `binaryType`, ws passes one Buffer per message.
        events.message(connection, data as Buffer, isBinary as boolean);
        return true;
      case 'ping':
        events.pinged(connection, data as Buffer);
        return true;
      case 'pong':
        connection.ponged = true;
        return true;
      case 'error':
        // ws has already sent the close code (1002, 1007, 1009).
        if (connection.state === 'open') connection.state = 'closing';
        return true;
      case 'close':
        connection.state = 'closed';
        events.closed(connection, data as number);
        return true;
      default:
        return super.emit(event, data, isBinary);
    }
  }

  #handlePending(event: string | symbol, data: unknown, isBinary: unknown): void {
    const isOpen = this.readyState === WebSocket.OPEN;
    if (event === 'close') this.pendingHandler?.pendingClientClosed(this);
    // RFC 6455 §5.5.2: a ping is answered, also before the client is attached.
    if (event === 'ping' && isOpen && this.earlyFrames <= EARLY_FRAMES_MAX) this.pong(data as Buffer);
    if (event !== 'message') return;
    if (!isOpen) {
      this.#countEarly();
      return;
    }
    this.earlyMessages ??= [];
    this.earlyMessages.push({ data: data as Buffer, isBinary: isBinary as boolean });
    this.pause();
  }

  frameBegan(bytes: number): void {
    if (this.connection === undefined) this.#countEarly();
    else this.events.frame(this.connection, bytes);
  }

  /**
   * Attack: frames as fast as they go, from a client that no limit of a connection applies to: it waits for its
   * admission, or was rejected and does not answer the close.
   */
  #countEarly(): void {
    this.earlyFrames += 1;
    if (this.earlyFrames <= EARLY_FRAMES_MAX) return;
    if (this.readyState === WebSocket.OPEN) this.pause();
    else this.terminate();
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

  write(frames: Frames): boolean {
    // No frame may follow a close frame (RFC 6455 §5.5.1), and ws may just have answered one.
    if (this.readyState !== WebSocket.OPEN) return false;
    if (frames.messages.length > 0 && this.connection !== undefined) this.connection.hadTraffic = true;
    if (!this.compressed) {
      this.writer.write(this, frames.bytes);
      return true;
    }
    for (const control of frames.controls) this.stream.write(control);
    for (const message of frames.messages) this.send(message, { binary: false });
    return true;
  }
}
