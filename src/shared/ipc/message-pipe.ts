import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { parseJson } from '../json/parse-json.ts';
import {
  frameLength,
  HEADER_BYTES,
  itemJsonAt,
  MalformedFrameError,
  MESSAGE_KIND,
  messageFrame,
  topicOfItem,
} from './pipe-frame.ts';

const READ_BYTES = 64 * 1024;

/** Receives what comes over a line, in its order. */
export interface MessagePipeHandler<Message> {
  /** The value is JSON of any shape: the receiver checks it. */
  message(message: Message): void;
  /** `frame` is lent for the call: whoever keeps it copies it. */
  relayFrame(topic: string, frame: Buffer): void;
  /** The other side sent what is no frame. Called once; nothing is read or written after it. */
  malformed(error: MalformedFrameError): void;
}

/**
 * The line between the primary and a worker, over a pipe of its own. Node's channel between processes is left to what
 * it alone can carry, sockets: to send and receive a message it costs twice what this does.
 *
 * What is sent goes in its order, and what is sent in one go of the loop in one write. Frames carry their length
 * (`pipe-frame.ts`), so that no content can forge one. Of an item (`relay-frame.ts`) the primary reads only the topic.
 */
export class MessagePipe<In, Out> {
  readonly #listener: MessagePipeHandler<In>;
  readonly #socket: Socket;
  #outgoing: (string | Buffer)[] = [];
  #outgoingLength = 0;
  #flushScheduled = false;
  /** The beginning of a frame whose end has not come yet, and how long that is. */
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** How long the frame is that has begun; of one without a whole header, how long the header is. */
  #wantedBytes = 0;
  #isBroken = false;

  /** Over a pipe: its stream here, or the descriptor that this process was started with. */
  constructor(pipe: Socket | number, listener: MessagePipeHandler<In>) {
    this.#listener = listener;
    this.#socket = typeof pipe === 'number' ? this.#openDescriptor(pipe) : pipe;
    if (typeof pipe !== 'number') pipe.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', ignoreUntilEnd);
  }

  /** Bytes that the other side's system has not taken yet; of what is not flushed, about. */
  get unsentBytes(): number {
    return this.#outgoingLength + this.#socket.writableLength;
  }

  /** Calls back once nothing more will come: the other process has ended, or let go. */
  onEnd(ended: () => void): void {
    this.#socket.once('close', ended);
  }

  /** Sends, together with whatever else the running callback sends. To a process that is gone it is lost. */
  send(message: Out): void {
    this.enqueue(message);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // Not `queueMicrotask`, which makes an asynchronous resource of each.
    void Promise.resolve().then(this.#scheduledFlush);
  }

  /** Sends with the next flush. A message that is too long for a frame breaks the line: see `malformed`. */
  enqueue(message: Out): void {
    try {
      this.#add(messageFrame(JSON.stringify(message)));
    } catch (error) {
      if (!(error instanceof MalformedFrameError)) throw error;
      this.#break(error);
    }
  }

  /** Sends the frame of an item with the next flush. The bytes may be shared, and must not change. */
  enqueueFrame(frame: string | Buffer): void {
    this.#add(frame);
  }

  /** Writes what was posted. */
  flush(): void {
    const outgoing = this.#outgoing;
    if (outgoing.length === 0) return;
    this.#outgoing = [];
    this.#outgoingLength = 0;
    if (this.#socket.writable && !this.#isBroken) this.#socket.write(concatenate(outgoing));
  }

  /** Writes what was posted, and resolves when the system has it, or at the deadline. */
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

  /** All reads go to one buffer, past the stream: that halves what a message costs. */
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
    let at = this.#partialBytes === 0 ? 0 : this.#complete(chunk);
    while (at + HEADER_BYTES <= chunk.length) {
      const end = at + frameLength(chunk, at);
      if (end > chunk.length) {
        this.#begin(chunk, at, end - at);
        return;
      }
      this.#receive(chunk.subarray(at, end));
      at = end;
    }
    if (at < chunk.length) this.#begin(chunk, at, HEADER_BYTES);
  }

  /** Keeps a copy of the beginning of a frame. */
  #begin(chunk: Buffer, at: number, wantedBytes: number): void {
    this.#partial = [Buffer.from(chunk.subarray(at))];
    this.#partialBytes = chunk.length - at;
    this.#wantedBytes = wantedBytes;
  }

  /** Adds to the frame that has begun, and answers where in the chunk it ends. */
  #complete(chunk: Buffer): number {
    let at = 0;
    while (this.#partialBytes < this.#wantedBytes && at < chunk.length) {
      const part = chunk.subarray(at, at + this.#wantedBytes - this.#partialBytes);
      this.#partial.push(Buffer.from(part));
      this.#partialBytes += part.length;
      at += part.length;
      if (this.#partialBytes < this.#wantedBytes) return at;
      const bytes = Buffer.concat(this.#partial);
      this.#partial = [bytes];
      this.#wantedBytes = frameLength(bytes, 0);
    }
    if (this.#partialBytes < this.#wantedBytes) return at;
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
      this.#listener.message(message as In);
      return;
    }
    const jsonAt = itemJsonAt(frame);
    this.#listener.relayFrame(topicOfItem(frame, jsonAt), frame);
  }

  /** What follows cannot be read either: where its frames begin is lost. */
  #break(error: MalformedFrameError): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#partial = [];
    this.#listener.malformed(error);
  }
}

function concatenate(lines: readonly (string | Buffer)[]): string | Buffer {
  const [only] = lines;
  if (only !== undefined && lines.length === 1) return only;
  const texts = lines.filter((frame) => typeof frame === 'string');
  if (texts.length === lines.length) return texts.join('');
  return Buffer.concat(lines.map((frame) => (typeof frame === 'string' ? Buffer.from(frame) : frame)));
}

/** A pipe fails when the other process is gone, which its end tells. */
function ignoreUntilEnd(): void {}
