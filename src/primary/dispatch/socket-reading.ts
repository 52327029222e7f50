import type { Socket } from 'node:net';

/** The private part of a socket that this file uses. A Node.js version may lack any of it. */
interface ReadableHandle {
  /** Whether the stream assumes that its handle reads. */
  reading?: boolean;
  readStart?: () => void;
  readStop?: () => void;
}

/**
 * Stops reading at once. `pause` stops only the stream: its handle reads once more, and the worker would lose those
 * bytes. The handle's `reading` must stay true, because the stream checks it later and would start the handle again.
 */
export function stopReading(socket: Socket): void {
  socket.pause();
  handleOf(socket)?.readStop?.();
}

/**
 * Undoes `stopReading`; does nothing if the socket is being read. A stream that stopped itself (high-water mark,
 * `pauseOnConnect`) restarts its handle in `resume`. To start it twice fails with EALREADY, and destroys the socket.
 */
export function startReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle?.reading !== false) handle?.readStart?.();
  socket.resume();
}

function handleOf(socket: Socket): ReadableHandle | null | undefined {
  return (socket as Socket & { _handle?: ReadableHandle | null })._handle;
}
