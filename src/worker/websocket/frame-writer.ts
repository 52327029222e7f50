import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * All internals of Node that direct writes use. `stream_wrap` has not changed since Node 12. If it is different or
 * unavailable, the probe fails and the writer uses `socket.write`.
 */
interface StreamWrap {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: Int32Array;
  readonly kLastWriteWasAsync: number;
}

interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Keep the bytes that libuv still reads, and their target, alive. */
  bytes: Buffer | undefined;
  target: WriteTarget | undefined;
}

/** The libuv handle of a stream. */
export interface StreamHandle {
  /** Returns 0 or a negative libuv error, also for a closed handle. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
}

/**
 * A TCP socket to write frames to. Holds all fields that a write reads, because reading the stream and its state costs
 * cache misses for each delivery. They are needed only if the system does not accept everything at once.
 */
export interface WriteTarget {
  readonly stream: Socket;
  /** Owned by the writer: the handle for direct writes; `undefined` for `socket.write`. */
  handle: StreamHandle | undefined;
  /** Whether bytes may wait in the stream. Code that writes to the stream past the writer must set it. */
  streamed: boolean;
  /** Owned by the writer: bytes of direct writes that the system has not accepted yet. */
  directBytes: number;
}

/** The probe fails if it takes longer. */
const PROBE_TIMEOUT_MS = 2_000;
const PROBE_MAX_WRITES = 1_000;
const SMALL_BYTES = 100;
const LARGE_BYTES = 64 * 1024;

/**
 * Writes shared bytes to TCP sockets, in one of two ways that put the same bytes on the wire:
 *
 * - `socket.write`, the public API;
 * - a direct write to the libuv handle of the socket, if no bytes wait before it. A write that the system accepts at
 *   once, as nearly all are, needs no request object, no callback and no stream state. This saves a fifth of the whole
 *   cost of a small message.
 *
 * The writer uses direct writes only after `probe` has proved them in this process.
 */
export class FrameWriter {
  #wrap: StreamWrap | undefined;
  /** Reused for each write, until libuv keeps one. */
  #request: WriteRequest | undefined;
  /** The class of TCP handles. Handles of other classes (TLS) were not probed. */
  #handleClass: unknown;

  /** Decides how to write to a target. Must be called once for each target. */
  open(target: WriteTarget): void {
    const handle = this.#wrap === undefined ? undefined : handleOf(target.stream);
    target.handle = handle?.constructor === this.#handleClass ? handle : undefined;
  }

  /** Writes now, or after the bytes written before. Destroys the socket if a write fails. */
  write(target: WriteTarget, bytes: Buffer): void {
    const { handle } = target;
    const wrap = this.#wrap;
    if (handle === undefined || wrap === undefined || this.unsentBytes(target) > 0) {
      // libuv keeps the order between direct writes and those of the stream.
      target.streamed = true;
      target.stream.write(bytes);
      return;
    }
    this.#request ??= new wrap.WriteWrap();
    const status = handle.writeBuffer(this.#request, bytes);
    if (status !== 0) target.stream.destroy();
    // The only sign that libuv kept the request: its queue may be empty although it still owns the request.
    else if (wrap.streamBaseState[wrap.kLastWriteWasAsync] !== 0) this.#retain(this.#request, target, bytes);
  }

  /** Bytes written, in either way, that the system has not accepted yet. */
  unsentBytes(target: WriteTarget): number {
    if (!target.streamed) return target.directBytes;
    const { writableLength } = target.stream;
    target.streamed = writableLength > 0;
    return writableLength + target.directBytes;
  }

  /**
   * Tries direct writes on a loopback connection: some that the system accepts at once, and one that it does not.
   * Resolves to true, and enables direct writes, if every byte arrives and every counter is right.
   */
  async probe(): Promise<boolean> {
    const wrap = loadStreamWrap();
    if (wrap === undefined) return false;
    this.#wrap = wrap;
    // Without a working loopback nothing is proved.
    const works = await onLoopback((near, far) => this.#passesProbe(near, far)).catch(() => false);
    if (!works) this.#wrap = undefined;
    return works;
  }

  /** The system accepted a part at most. libuv writes the rest, and owns the request until then. */
  #retain(request: WriteRequest, target: WriteTarget, bytes: Buffer): void {
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
    // Neighbouring bytes differ, so that a moved, lost or repeated byte is detected.
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
    const [arrived] = await Promise.all([receivesExactly(far, sent), once(near, 'finish')]);
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
    // Node denies access: the permission model, or a later version.
    return undefined;
  }
}

/** Runs `trial` with both ends of a new connection. Resolves to false after `PROBE_TIMEOUT_MS`. */
async function onLoopback(trial: (near: Socket, far: Socket) => Promise<boolean>): Promise<boolean> {
  const server = createServer({ pauseOnConnect: true });
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), PROBE_TIMEOUT_MS);
  const sockets: Socket[] = [];
  try {
    // `exclusive`: the worker listens itself, not through the primary.
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

/** Whether a stream delivers exactly these bytes. Compares each chunk on arrival and keeps none. */
async function receivesExactly(stream: Socket, expected: readonly Buffer[]): Promise<boolean> {
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
