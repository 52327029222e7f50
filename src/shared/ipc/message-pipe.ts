import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { parseJson } from '../json/parse-json.ts';
import {
  frameLength,
  HEADER_BYTES,
  MalformedFrameError,
  MESSAGE_KIND,
  messageFrame,
  relayJsonAt,
  topicOfRelayFrame,
} from './pipe-frame.ts';

const READ_BYTES = 64 * 1024;

/** Receives messages and frames in order. */
export interface MessagePipeHandler<Message> {
  /** The value is JSON of any shape; the handler must check it. */
  message(message: Message): void;
  /** `frame` is valid only during the call; copy it to keep it. */
  relayFrame(topic: string, frame: Buffer): void;
  /** The peer sent malformed bytes. Called once; the pipe then neither reads nor writes. */
  malformed(error: MalformedFrameError): void;
}

/**
 * Connects the primary and a worker over a separate pipe. The IPC channel of Node carries only sockets, because its messages
 * cost twice as much.
 *
 * Keeps the order of messages, and sends all messages of one event-loop callback in one write. Frames carry their length
 * (`pipe-frame.ts`), so no content can forge a frame. Of relay frames (`relay-frame.ts`) the primary reads only the topic.
 */
export class MessagePipe<In, Out> {
  readonly #handler: MessagePipeHandler<In>;
  readonly #socket: Socket;
  #outgoing: (string | Buffer)[] = [];
  #outgoingLength = 0;
  #flushScheduled = false;
  /** The received part of an incomplete frame, and its size. */
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** Size of the incomplete frame, or of its header while the header is incomplete. */
  #expectedBytes = 0;
  #isBroken = false;

  /** `pipe` is a stream, or a descriptor that this process inherited. */
  constructor(pipe: Socket | number, handler: MessagePipeHandler<In>) {
    this.#handler = handler;
    this.#socket = typeof pipe === 'number' ? this.#openDescriptor(pipe) : pipe;
    if (typeof pipe !== 'number') pipe.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', ignoreUntilEnd);
  }

  /** Bytes that the system has not accepted yet; an estimate for unflushed messages. */
  get unsentBytes(): number {
    return this.#outgoingLength + this.#socket.writableLength;
  }

  /** Calls `ended` when the peer has closed the pipe or exited. */
  onEnd(ended: () => void): void {
    this.#socket.once('close', ended);
  }

  /** Sends together with other messages of the current callback. Messages to an exited process are lost. */
  send(message: Out): void {
    this.enqueue(message);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // `queueMicrotask` would create an async resource per call.
    void Promise.resolve().then(this.#scheduledFlush);
  }

  /** Sends with the next flush. A message that is too long for a frame breaks the pipe: see `malformed`. */
  enqueue(message: Out): void {
    try {
      this.#add(messageFrame(JSON.stringify(message)));
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      this.#break(error);
    }
  }

  /** Sends a relay frame with the next flush. The bytes may be shared and must not change. */
  enqueueFrame(frame: string | Buffer): void {
    this.#add(frame);
  }

  /** Writes all enqueued messages. */
  flush(): void {
    const outgoing = this.#outgoing;
    if (outgoing.length === 0) return;
    this.#outgoing = [];
    this.#outgoingLength = 0;
    if (this.#socket.writable && !this.#isBroken) this.#socket.write(concatenate(outgoing));
  }

  /** Writes all enqueued messages. Resolves when the system has accepted them, or after `timeoutMs`. */
  async finish(timeoutMs: number): Promise<void> {
    this.flush();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#socket.once('close', resolve);
      this.#socket.end(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  readonly #scheduledFlush = (): void => {
    this.#flushScheduled = false;
    this.flush();
  };

  #add(frame: string | Buffer): void {
    this.#outgoing.push(frame);
    this.#outgoingLength += frame.length;
  }

  /** Reads into one buffer instead of the stream, which halves the cost of a message. */
  #openDescriptor(fd: number): Socket {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const callback = (length: number): boolean => {
      this.#read(buffer.subarray(0, length));
      return true;
    };
    const options: SocketConstructorOpts & ConnectOpts = { fd, onread: { buffer, callback } };
    return new Socket(options);
  }

  #read(chunk: Buffer): void {
    if (this.#isBroken) return;
    try {
      this.#readFrames(chunk);
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      this.#break(error);
    }
  }

  #readFrames(chunk: Buffer): void {
    let at = this.#partialBytes === 0 ? 0 : this.#continuePartial(chunk);
    while (at + HEADER_BYTES <= chunk.length) {
      const end = at + frameLength(chunk, at);
      if (end > chunk.length) {
        this.#startPartial(chunk, at, end - at);
        return;
      }
      this.#receive(chunk.subarray(at, end));
      at = end;
    }
    if (at < chunk.length) this.#startPartial(chunk, at, HEADER_BYTES);
  }

  /** Copies the received part of an incomplete frame. */
  #startPartial(chunk: Buffer, at: number, expectedBytes: number): void {
    this.#partial = [Buffer.from(chunk.subarray(at))];
    this.#partialBytes = chunk.length - at;
    this.#expectedBytes = expectedBytes;
  }

  /** Continues the incomplete frame and returns its end in the chunk. */
  #continuePartial(chunk: Buffer): number {
    let at = 0;
    while (this.#partialBytes < this.#expectedBytes && at < chunk.length) {
      const part = chunk.subarray(at, at + this.#expectedBytes - this.#partialBytes);
      this.#partial.push(Buffer.from(part));
      this.#partialBytes += part.length;
      at += part.length;
      if (this.#partialBytes < this.#expectedBytes) return at;
      const bytes = Buffer.concat(this.#partial);
      this.#partial = [bytes];
      this.#expectedBytes = frameLength(bytes, 0);
    }
    if (this.#partialBytes < this.#expectedBytes) return at;
    const [frame] = this.#partial;
    this.#partial = [];
    this.#partialBytes = 0;
    if (frame !== undefined) this.#receive(frame);
    return at;
  }

  #receive(frame: Buffer): void {
    if (this.#isBroken) return;
    if (frame[0] === MESSAGE_KIND) {
      const message = parseJson(frame.toString('utf8', HEADER_BYTES));
      if (message === undefined) throw new MalformedFrameError('a message is not JSON');
      this.#handler.message(message as In);
      return;
    }
    const jsonAt = relayJsonAt(frame);
    this.#handler.relayFrame(topicOfRelayFrame(frame, jsonAt), frame);
  }

  /** Stops reading, because the start of the next frame is unknown. */
  #break(error: MalformedFrameError): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#partial = [];
    this.#handler.malformed(error);
  }
}

function concatenate(frames: readonly (string | Buffer)[]): string | Buffer {
  const [only] = frames;
  if (only !== undefined && frames.length === 1) return only;
  const texts = frames.filter((frame) => typeof frame === 'string');
  if (texts.length === frames.length) return texts.join('');
  return Buffer.concat(frames.map((frame) => (typeof frame === 'string' ? Buffer.from(frame) : frame)));
}

/** A pipe fails when the peer exits, which `close` reports. */
function ignoreUntilEnd(): void {}
