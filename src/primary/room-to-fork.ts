import { closeSync, openSync } from 'node:fs';

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
