import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';

const NEWLINE = 0x0a;
const TAB = 0x09;
const OPENING_BRACE = 0x7b;
const READ_BYTES = 64 * 1024;

/** Who hears what comes over a line, in its order. */
export interface LineListener<Message> {
  message(message: Message): void;
  /** `line` is lent for the call: whoever keeps it copies it. */
  item(topic: string, line: Buffer): void;
}

/**
 * The line between the primary and a worker, over a pipe of its own. Node's channel between processes is left to what
 * it alone can carry, sockets: to send and receive a message it costs twice what this does.
 *
 * What is sent goes in its order, and what is sent in one go of the loop in one write. A message is a line of JSON; an
 * item (`relay-item.ts`) is a line that begins with a topic, which is all that whoever passes it on has to read.
 */
export class Line<In, Out> {
  readonly #listener: LineListener<In>;
  readonly #socket: Socket;
  #outgoing: (string | Buffer)[] = [];
  #outgoingLength = 0;
  #flushRequested = false;
  /** The beginning of a line whose end has not come yet. */
  #begun: Buffer[] = [];

  /** Over a pipe: its stream here, or the descriptor that this process was started with. */
  constructor(pipe: Socket | number, listener: LineListener<In>) {
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
    this.post(message);
    if (this.#flushRequested) return;
    this.#flushRequested = true;
    // Not `queueMicrotask`, which makes an asynchronous resource of each.
    void Promise.resolve().then(this.#requestedFlush);
  }

  /** Sends with the next flush. */
  post(message: Out): void {
    this.#add(`${JSON.stringify(message)}\n`);
  }

  /** Sends an item with the next flush. The bytes may be shared, and must not change. */
  postItem(line: string | Buffer): void {
    this.#add(line);
  }

  /** Writes what was posted. */
  flush(): void {
    const outgoing = this.#outgoing;
    if (outgoing.length === 0) return;
    this.#outgoing = [];
    this.#outgoingLength = 0;
    if (this.#socket.writable) this.#socket.write(joined(outgoing));
  }

  /** Writes what was posted, and resolves when the system has it, or at the deadline. */
  async finish(deadlineMs: number): Promise<void> {
    this.flush();
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(resolve, deadlineMs);
      this.#socket.once('close', resolve);
      this.#socket.end(() => {
        clearTimeout(deadline);
        resolve();
      });
    });
  }

  readonly #requestedFlush = (): void => {
    this.#flushRequested = false;
    this.flush();
  };

  #add(line: string | Buffer): void {
    this.#outgoing.push(line);
    this.#outgoingLength += line.length;
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
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const part = chunk.subarray(from, end + 1);
      from = end + 1;
      if (this.#begun.length === 0) {
        this.#hear(part);
        continue;
      }
      const whole = Buffer.concat([...this.#begun, part]);
      this.#begun = [];
      this.#hear(whole);
    }
    if (from < chunk.length) this.#begun.push(Buffer.from(chunk.subarray(from)));
  }

  #hear(line: Buffer): void {
    if (line[0] === OPENING_BRACE) this.#listener.message(JSON.parse(line.toString('utf8')));
    else this.#listener.item(line.toString('utf8', 0, line.indexOf(TAB)), line);
  }
}

function joined(lines: readonly (string | Buffer)[]): string | Buffer {
  const [only] = lines;
  if (only !== undefined && lines.length === 1) return only;
  const texts = lines.filter((line) => typeof line === 'string');
  if (texts.length === lines.length) return texts.join('');
  return Buffer.concat(lines.map((line) => (typeof line === 'string' ? Buffer.from(line) : line)));
}

/** A pipe fails when the other process is gone, which its end tells. */
function ignoreUntilEnd(): void {}
