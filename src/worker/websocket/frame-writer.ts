import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * The internals of Node that the direct way uses, no more than these. `stream_wrap` has been the same since
 * Node 12; where it is not, or not to be had, the probe finds out and the public way is taken.
 */
interface StreamWrap {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: Int32Array;
  readonly kLastWriteWasAsync: number;
}

interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Keep what libuv still reads, and who has to hear of it, alive. */
  bytes: Buffer | undefined;
  target: WriteTarget | undefined;
}

/** The libuv handle of a stream. */
export interface StreamHandle {
  /** 0, or a negative libuv error: also where the handle is closed already. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
}

/**
 * A TCP socket to write frames to. What a write has to look at stands here, in one place: of a stream and its state,
 * each a miss of the cache for each delivery, it needs nothing as long as the system takes everything at once.
 */
export interface WriteTarget {
  readonly stream: Socket;
  /** Owned by the writer: where it goes the direct way, the handle to write to. */
  handle: StreamHandle | undefined;
  /** Something was written to the stream and may wait in it; whoever does so beside the writer sets it. */
  streamed: boolean;
  /** Owned by the writer: bytes it gave to the system that the system has not taken yet. */
  directBytes: number;
}

/** A way of writing that the probe found to be wrong is not waited for longer than this. */
const PROBE_TIMEOUT_MS = 2_000;
const PROBE_MAX_WRITES = 1_000;
const SMALL_BYTES = 100;
const LARGE_BYTES = 64 * 1024;

/**
 * Writes shared bytes to TCP sockets, in one of two ways that put the same bytes on the wire:
 *
 * - the public one is `socket.write`;
 * - the direct one gives the bytes to the socket's libuv handle, while nothing waits in front of them. What the
 *   system takes at once, nearly everything, then costs no request object, no callback and no stream state: a
 *   fifth of the whole cost of a small message.
 *
 * The direct way is taken only after `probe` has seen it work in this process.
 */
export class FrameWriter {
  #wrap: StreamWrap | undefined;
  /** Used again for each write, until the system keeps one. */
  #request: WriteRequest | undefined;
  /** What the handle of a plain TCP socket is made by: another (TLS) was not probed. */
  #handleClass: unknown;

  get isDirect(): boolean {
    return this.#wrap !== undefined;
  }

  /** To be called once for each target: decides the way that its bytes take. */
  open(target: WriteTarget): void {
    const handle = this.#wrap === undefined ? undefined : handleOf(target.stream);
    target.handle = handle?.constructor === this.#handleClass ? handle : undefined;
  }

  /** Writes now, or as soon as what was written before is gone. A socket that fails is destroyed. */
  write(target: WriteTarget, bytes: Buffer): void {
    const { handle } = target;
    const wrap = this.#wrap;
    if (handle === undefined || wrap === undefined || this.unsentBytes(target) > 0) {
      // libuv keeps the order between what it was given directly and what comes through the stream.
      target.streamed = true;
      target.stream.write(bytes);
      return;
    }
    this.#request ??= new wrap.WriteWrap();
    const status = handle.writeBuffer(this.#request, bytes);
    if (status !== 0) target.stream.destroy();
    // Nothing else tells whether libuv kept the request: its queue may be empty and the request still its own.
    else if (wrap.streamBaseState[wrap.kLastWriteWasAsync] !== 0) this.#leave(this.#request, target, bytes);
  }

  /** Bytes written and not taken by the system yet, whichever way they went. */
  unsentBytes(target: WriteTarget): number {
    if (!target.streamed) return target.directBytes;
    const { writableLength } = target.stream;
    target.streamed = writableLength > 0;
    return writableLength + target.directBytes;
  }

  /**
   * Tries the direct way on a connection of its own, with writes that are taken at once and one that is not;
   * resolves true, and takes that way from then on, if every byte arrives and is accounted for.
   */
  async probe(): Promise<boolean> {
    const wrap = loadStreamWrap();
    if (wrap === undefined) return false;
    this.#wrap = wrap;
    // No loopback, or an error on it: not proved, so not taken.
    const works = await onLoopback((near, far) => this.#passesProbe(near, far)).catch(() => false);
    if (!works) this.#wrap = undefined;
    return works;
  }

  /** The system has taken a part at most; libuv writes the rest, and owns the request until it has. */
  #leave(request: WriteRequest, target: WriteTarget, bytes: Buffer): void {
    target.directBytes += bytes.length;
    request.bytes = bytes;
    request.target = target;
    request.oncomplete = onComplete;
    this.#request = undefined;
  }

  async #passesProbe(near: Socket, far: Socket): Promise<boolean> {
    this.#handleClass = handleOf(near)?.constructor;
    const target: WriteTarget = { stream: near, handle: undefined, streamed: true, directBytes: 0 };
    this.open(target);
    const sent: Buffer[] = [];
    // No two neighbours are equal, so that nothing can be moved, cut or doubled unseen.
    const pattern = Buffer.from(Array.from({ length: LARGE_BYTES }, (_, at) => (at * 31 + (at >> 8)) & 0xff));
    const send = (length: number): number => {
      sent.push(pattern.subarray(0, length));
      this.write(target, pattern.subarray(0, length));
      return this.unsentBytes(target);
    };
    if (send(SMALL_BYTES) !== 0) return false;
    while (send(LARGE_BYTES) === 0) if (sent.length > PROBE_MAX_WRITES) return false;
    const queued: number = near.writableLength;
    send(SMALL_BYTES);
    if (queued !== 0 || near.writableLength !== SMALL_BYTES) return false;
    near.end();
    const [arrived] = await Promise.all([arrives(far, sent), once(near, 'finish')]);
    return arrived && this.unsentBytes(target) === 0;
  }
}

function onComplete(this: WriteRequest, status: number): void {
  const { target, bytes } = this;
  if (target === undefined || bytes === undefined) return;
  target.directBytes -= bytes.length;
  this.target = undefined;
  this.bytes = undefined;
  if (status < 0) target.stream.destroy();
}

function handleOf(stream: Socket): StreamHandle | undefined {
  return (stream as Socket & { _handle?: StreamHandle | null })._handle ?? undefined;
}

function loadStreamWrap(): StreamWrap | undefined {
  type Binding = (name: string) => Partial<StreamWrap>;
  try {
    const { binding } = process as unknown as { binding?: Binding };
    const wrap = binding?.('stream_wrap');
    const complete =
      typeof wrap?.WriteWrap === 'function' &&
      wrap.streamBaseState instanceof Int32Array &&
      typeof wrap.kLastWriteWasAsync === 'number';
    return complete ? (wrap as StreamWrap) : undefined;
  } catch {
    // A Node that denies it (the permission model, a later version): there is the public way.
    return undefined;
  }
}

/** Runs `trial` with both ends of a fresh connection; false if it takes longer than the probe's deadline. */
async function onLoopback(trial: (near: Socket, far: Socket) => Promise<boolean>): Promise<boolean> {
  const server = createServer({ pauseOnConnect: true });
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), PROBE_TIMEOUT_MS);
  const sockets: Socket[] = [];
  try {
    // `exclusive`: not by way of the primary.
    server.listen({ host: '127.0.0.1', port: 0, exclusive: true });
    await once(server, 'listening', deadline);
    const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
    sockets.push(near);
    near.on('error', () => deadline.abort());
    const [[far]] = await Promise.all([
      once(server, 'connection', deadline),
      once(near, 'connect', deadline),
    ]);
    sockets.push(far as Socket);
    const late = once(deadline.signal, 'abort').then(() => false);
    return await Promise.race([trial(near, far as Socket), late]);
  } finally {
    clearTimeout(timer);
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

/** Whether a stream brings just these bytes. Compared as they come: they may be many, and are not kept. */
async function arrives(stream: Socket, expected: readonly Buffer[]): Promise<boolean> {
  let [index, offset] = [0, 0];
  for await (const chunk of stream) {
    let rest = chunk as Buffer;
    while (rest.length > 0) {
      const next = expected[index]?.subarray(offset, offset + rest.length);
      if (next === undefined || !next.equals(rest.subarray(0, next.length))) return false;
      rest = rest.subarray(next.length);
      offset += next.length;
      if (offset === expected[index]?.length) [index, offset] = [index + 1, 0];
    }
  }
  return index === expected.length;
}
