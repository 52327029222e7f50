import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Settings } from '../../shared/config/settings.ts';

/** For what is no pending socket: the program's own files, and of each worker two pipes and some sockets on their way to it. */
const RESERVED = 64;
const RESERVED_PER_WORKER = 4;
/** Pending sockets greet, wait for a worker, or are shown out: of each kind there may be as many. */
const PENDING_SOCKET_POOLS = 3;
const MIN_PENDING_SOCKETS = 16;

/** How many files this process may have open; nothing where the system does not say so. */
export function openFilesLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

/** `pendingSocketsMax`, or fewer if the files of the process would not do for so many, its workers and itself. */
export function maxPendingSockets(
  { pendingSocketsMax, workers }: Pick<Settings, 'pendingSocketsMax' | 'workers'>,
  openFiles: number | undefined,
): number {
  if (openFiles === undefined) return pendingSocketsMax;
  const left = openFiles - RESERVED - RESERVED_PER_WORKER * workers;
  return Math.min(pendingSocketsMax, Math.max(Math.floor(left / PENDING_SOCKET_POOLS), MIN_PENDING_SOCKETS));
}

/** Two pairs for the pipes to a worker, and one by which the system says whether its program could be run. */
const DESCRIPTORS = 6;

/**
 * Throws the system's error unless there are descriptors enough for a fork: out of them halfway, Node keeps those that
 * it had for ever, which would make the lack worse at each attempt.
 */
export function needRoomToFork(): void {
  const taken: number[] = [];
  try {
    while (taken.length < DESCRIPTORS) taken.push(openSync('/dev/null', 'r'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Where there is no such file a fork may work all the same.
    if (code === 'EMFILE' || code === 'ENFILE') throw error;
  } finally {
    for (const descriptor of taken) closeSync(descriptor);
  }
}
