import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Settings } from '../../shared/config/settings.ts';

/** For everything but pending sockets: files of the process, two pipes per worker, and sockets in flight to it. */
const RESERVED = 64;
const RESERVED_PER_WORKER = 4;
/** Sockets without a complete head, sockets that wait for a worker, and rejected sockets: one limit for each. */
const PENDING_SOCKET_POOLS = 3;
const MIN_PENDING_SOCKETS = 16;

/** Returns the file descriptor limit of this process; `undefined` without /proc. */
export function openFilesLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

/** Returns `pendingSocketsMax`, lowered to what the file descriptor limit allows. */
export function maxPendingSockets(
  { pendingSocketsMax, workers }: Pick<Settings, 'pendingSocketsMax' | 'workers'>,
  openFiles: number | undefined,
): number {
  if (openFiles === undefined) return pendingSocketsMax;
  const available = openFiles - RESERVED - RESERVED_PER_WORKER * workers;
  return Math.min(
    pendingSocketsMax,
    Math.max(Math.floor(available / PENDING_SOCKET_POOLS), MIN_PENDING_SOCKETS),
  );
}

/** Of a fork: two pairs for the pipes to the child, and one on which libuv receives the error of `execve`. */
const DESCRIPTORS = 6;

/**
 * Throws the system's error unless enough descriptors for a fork are free. A fork that fails halfway leaks the
 * descriptors that it has opened, so every attempt would leave fewer.
 */
export function assertDescriptorsForFork(): void {
  const opened: number[] = [];
  try {
    while (opened.length < DESCRIPTORS) opened.push(openSync('/dev/null', 'r'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Any other error means that /dev/null does not exist, which does not prevent a fork.
    if (code === 'EMFILE' || code === 'ENFILE') throw error;
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}
