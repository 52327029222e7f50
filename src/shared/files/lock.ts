import { createHash, randomBytes } from 'node:crypto';
import { lstat, readlink, symlink, unlink } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { HeldFolder } from './held-folder.ts';

/** A change takes milliseconds, or seconds on a busy disk. A holder of a longer time is considered dead. */
const STALE_MS = 10_000;
const TIMEOUT_MS = 20_000;
const RETRY_MS = 10;
const TOKEN_BYTES = 12;
const ID_LENGTH = 16;

interface Lock {
  readonly id: string;
  readonly isStale: boolean;
}

/**
 * Excludes other processes from the file of a folder while `work` runs; `isHeld` resolves with whether this process still holds it. The
 * lock is a symbolic link whose target names its holder: it is made in one step, and never followed.
 *
 * A lock of a dead process is removed. Two processes that both find it stale must not remove two locks, the second one
 * that of a process that has just taken it. So a lock is removed only by the process that holds a second lock, whose name
 * contains the holder of the first; its own holder removes it in the same way. Throws with code EEXIST if the lock
 * cannot be had in time.
 */
export async function withLock<T>(
  folder: HeldFolder,
  work: (isHeld: () => Promise<boolean>) => Promise<T>,
): Promise<T> {
  const lock = folder.at(`${folder.name}.lock`);
  const token = randomBytes(TOKEN_BYTES).toString('hex');
  const id = idOf(token);
  await acquire(lock, token);
  try {
    return await work(async () => (await readLock(lock))?.id === id);
  } finally {
    await remove(lock, id);
  }
}

async function acquire(lock: string, token: string): Promise<void> {
  const until = performance.now() + TIMEOUT_MS;
  while (!(await make(lock, token))) {
    if (performance.now() > until) throw Object.assign(new Error('locked'), { code: 'EEXIST' });
    const present = await readLock(lock);
    if (present?.isStale) await remove(lock, present.id);
    // Jitter, so that waiting processes do not retry at the same time.
    await pause(RETRY_MS * (0.5 + Math.random()));
  }
}

async function remove(lock: string, id: string): Promise<void> {
  const claim = `${lock}.${id}`;
  // Otherwise another process removes it.
  if (!(await make(claim, id))) return;
  try {
    if ((await readLock(lock))?.id === id) await unlink(lock);
  } finally {
    await unlink(claim);
  }
}

async function make(link: string, target: string): Promise<boolean> {
  try {
    await symlink(target, link);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function readLock(lock: string): Promise<Lock | undefined> {
  try {
    const before = await holderOf(lock);
    const { mtimeMs } = await lstat(lock);
    // The time has to be that of this lock and not of the next one. A time in the future is none.
    if ((await holderOf(lock)) !== before) return undefined;
    return { id: idOf(before), isStale: Math.abs(Date.now() - mtimeMs) > STALE_MS };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A file that is not a link, which gusher never creates, is identified by inode and time. */
async function holderOf(lock: string): Promise<string> {
  try {
    return await readlink(lock);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    const { ino, mtimeMs } = await lstat(lock);
    return `${ino} ${mtimeMs}`;
  }
}

/** Attack: a target that is a path. */
function idOf(holder: string): string {
  return createHash('sha256').update(holder).digest('hex').slice(0, ID_LENGTH);
}
