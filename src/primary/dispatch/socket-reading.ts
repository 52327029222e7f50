import type { Socket } from 'node:net';

/** The part of a socket's handle that is used here; it is not public, and may be missing. */
interface ReadableHandle {
  /** Whether the stream believes that its handle reads. */
  reading?: boolean;
  readStart?: () => void;
  readStop?: () => void;
}

/**
 * Stops reading within this turn. `pause` alone stops the stream; the handle below it goes on until the system
 * has given it more, and what it reads after the handle was passed on would be lost for the worker. The handle's
 * `reading` stays true on purpose: a moment later the stream looks there whether it has to start it again.
 */
export function stopReading(socket: Socket): void {
  socket.pause();
  handleOf(socket)?.readStop?.();
}

/**
 * Undoes `stopReading`; does nothing to a socket that is being read. A stream that stopped itself, at its high-water
 * mark or because the server pauses its connections, starts its handle again when it resumes. A second start fails
 * with EALREADY, and the stream then destroys the socket.
 */
export function startReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle?.reading !== false) handle?.readStart?.();
  socket.resume();
}

function handleOf(socket: Socket): ReadableHandle | null | undefined {
  return (socket as Socket & { _handle?: ReadableHandle | null })._handle;
}
